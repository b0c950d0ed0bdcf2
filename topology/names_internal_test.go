package topology

import "testing"

func TestEtcHosts(t *testing.T) {
	for _, c := range []struct {
		path           Path
		family         Family
		standby        bool
		client, server string // what differs from the lines of localhost
	}{
		{Direct, IPv4, false, "10.0.0.1\tclient\n10.0.0.2\tserver\n", ""},
		{Switch, IPv4, true, "10.0.0.1\tclient\n10.0.0.2\tserver standby\n", ""},
		{Router, IPv4, false, "10.0.0.1\tclient\n10.0.1.2\tserver\n10.0.0.254\trouter\n", "10.0.0.1\tclient\n10.0.1.2\tserver\n10.0.1.254\trouter\n"},
		{Switch, IPv6, true, "fd00::1\tclient\nfd00::2\tserver standby\n", ""},
		{Router, IPv6, false, "fd00::1\tclient\nfd00:0:0:1::2\tserver\nfd00::fe\trouter\n", "fd00::1\tclient\nfd00:0:0:1::2\tserver\nfd00:0:0:1::fe\trouter\n"},
	} {
		local := "127.0.0.1\tlocalhost\n"
		if c.family == IPv6 {
			local += "::1\tlocalhost ip6-localhost ip6-loopback\n"
		}
		if c.server == "" {
			c.server = c.client
		}
		for i, h := range Plan(c.path, c.family, c.standby) {
			want := local + c.client
			if i == 1 {
				want = local + c.server
			}
			if h.names != want {
				t.Errorf("%s, %s, of %s: %q, want %q", c.path, c.family, h.Name, h.names, want)
			}
		}
	}
}

func TestEtcNsswitch(t *testing.T) {
	const own = "hosts:\tfiles dns\n"
	for machines, want := range map[string]string{
		"":              own,
		"passwd: files": "passwd: files\n" + own,
		"passwd: files\nhosts: mymachines resolve [!UNAVAIL=return] files dns\nnetworks: files\n": "passwd: files\n" + own + "networks: files\n",
		"# hosts: of old\n": "# hosts: of old\n" + own,
	} {
		if got := etcNsswitch(machines); got != want {
			t.Errorf("of %q: %q, want %q", machines, got, want)
		}
	}
}
