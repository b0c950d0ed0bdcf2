package warp

import "testing"

func TestNewestOf(t *testing.T) {
	const packages = `linux-image-6.1.0-48-cloud-amd64 - Linux 6.1 for x86-64 cloud (signed)
linux-image-6.1.0-9-cloud-amd64 - Linux 6.1 for x86-64 cloud (signed)
linux-image-6.12-cloud-amd64 - Linux for x86-64 cloud (meta-package)
linux-image-6.12.117+deb12-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)
linux-image-6.12.99+deb12-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)
linux-image-cloud-amd64 - Linux for x86-64 cloud (meta-package)
`
	for version, want := range map[string]string{
		"6.1":                  "6.1.0-48-cloud-amd64",
		"6.12":                 "6.12.117+deb12-cloud-amd64",
		"6.12.99":              "6.12.99+deb12-cloud-amd64",
		"6.1.0-9":              "6.1.0-9-cloud-amd64",
		"6":                    "6.12.117+deb12-cloud-amd64",
		"5.10":                 "",
		"6.12.1":               "",
		"6.1.0-48-c":           "",
		"6.1.0-48-cloud-amd64": "6.1.0-48-cloud-amd64",
	} {
		if got := newestOf(packages, version); got != want {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
}
