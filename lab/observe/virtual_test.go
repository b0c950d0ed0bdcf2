package observe

import "testing"

func TestSaysVirtual(t *testing.T) {
	for line, want := range map[string]bool{
		"": false,
		"BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet\n":  false,
		"root=/dev/root init=/lab lab.warp=uml seed=1\n": true,
		"lab.warp=qemu":         true,
		"not.lab.warp=uml":      false,
		"lab.warped=1 lab.warp": false,
	} {
		if got := saysVirtual(line); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}
