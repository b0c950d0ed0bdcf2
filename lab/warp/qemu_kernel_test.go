package warp

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

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

// What a fetch that was killed has left is gone with the next one.
func TestFetchKernel(t *testing.T) {
	const release = "6.1.0-9-cloud-amd64"
	w := newWorkshop(t)
	w.tool("apt-cache", "echo 'linux-image-"+release+" - Linux'")
	w.tool("apt-get", ": >linux-image.deb")
	w.tool("dpkg", "mkdir -p boot lib/modules/"+release+"; : >boot/vmlinuz-"+release)
	write(t, filepath.Join(w.cache, kernelsName, fetchingName, "old.deb"), nil, 0o600)
	for range 2 {
		k, err := FetchKernel(t.Context(), "6.1", io.Discard)
		if err != nil || k.Release != release {
			t.Fatalf("%+v, %v", k, err)
		}
	}
	if all, err := Kernels(); err != nil || len(all) != 1 || w.calls("dpkg") != 1 {
		t.Errorf("%+v, %v, unpacked %d times", all, err, w.calls("dpkg"))
	}
	if left, _ := os.ReadDir(filepath.Join(w.cache, kernelsName)); len(left) != 1 {
		t.Errorf("it left %v", left)
	}
	if _, err := FetchKernel(t.Context(), "5.0", io.Discard); !errors.Is(err, ErrNoEngine) {
		t.Errorf("a kernel that there is not: %v", err)
	} else if lack, ok := errors.AsType[*LackError](err); !ok || lack.Hint == "" {
		t.Errorf("there is no hint: %v", err)
	}
}
