package virtualtime

import "testing"

func TestEngineOf(t *testing.T) {
	for line, want := range map[string]string{
		"": "",
		"BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet\n":  "",
		"root=/dev/root init=/lab lab.warp=uml seed=1\n": "uml",
		"lab.warp=qemu":         "qemu",
		"not.lab.warp=uml":      "",
		"lab.warped=1 lab.warp": "",
	} {
		if got := engineOf(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
