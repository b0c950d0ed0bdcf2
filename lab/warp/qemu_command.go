package warp

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// The ports of the machine's serial device, by number.
const (
	stdoutPort = iota + 1
	stderrPort
	resultPort
)

// What the machine gets from the engine when it is about to run the command.
const (
	jobItem   = "opt/lab/job"
	inputItem = "opt/lab/input"
)

// kernelParameters are the machine's kernel's. What is here for the time that
// the kernel takes was measured in instructions; each wakes the clock up less
// often, or waits less for hardware that is not there.
var kernelParameters = [...]string{
	"console=ttyS0", "quiet", "panic=-1", "reboot=t", "rdinit=" + imageInit, "rootfstype=tmpfs",
	// The clock counts instructions, 1 GHz exactly, and the HPET can wait 21 s.
	"clocksource=tsc", "tsc=reliable", "tsc_early_khz=1000000", "nolapic_timer",
	// What each system call pays for, and what wakes up regularly.
	"mitigations=off", "nowatchdog", "mce=off", "transparent_hugepage=never", "psi=0", "cgroup_disable=memory", "sysctl.vm.compaction_proactiveness=0", "sysctl.vm.stat_interval=1000000",
	// What is waited for, or tested, at boot.
	"random.trust_cpu=1", "cryptomgr.notests",
	// So that the engine can ask what was being computed.
	"unknown_nmi_panic=1",
	"lab.warp=" + QEMUName, "--", guestArg, QEMUName,
}

// A command is a machine's QEMU command line in the making.
type command []string

func (c *command) add(args ...string) { *c = append(*c, args...) }

// command starts the machine: on the given number of MiB, and with the seed
// for what its processor gives as random.
func (q *QEMU) command(memory int, seed uint64) command {
	return command{
		q.qemu,
		// No network device, no disk, nothing that was not asked for.
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		// +rdrand: without it the kernel waits for randomness; it is QEMU's own, of the seed.
		"-cpu", "Nehalem,-spec-ctrl,+rdrand",
		"-accel", "tcg,thread=single",
		// An instruction takes 1 ns, and waiting none: RTT 16 us, as between two namespaces.
		"-icount", "shift=0,sleep=off",
		"-rtc", "base=2026-01-01T00:00:00,clock=vm",
		"-seed", strconv.FormatUint(seed, 10),
		"-m", strconv.Itoa(memory),
		"-kernel", q.kernel,
		"-append", strings.Join(kernelParameters[:], " "),
		"-serial", "stdio",
		"-device", "pvpanic", "-action", "panic=pause",
		// Without ioeventfd what the machine writes is taken at once, not when
		// the host's scheduler sees fit.
		"-device", "virtio-serial-pci,ioeventfd=off",
		"-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
	}
}

// files connects the ports with the files of a machine's directory, and hands
// the job over; dir is nil for a machine that is only to be saved, which has
// the same ports with nothing behind them.
func (c *command) files(dir *workDir, j Job) {
	for i, name := range [...]string{stdoutFile, stderrFile, resultFile} {
		nr := i + stdoutPort
		if dir == nil {
			c.add("-chardev", fmt.Sprintf("null,id=port%d", nr))
		} else {
			c.add("-chardev", fmt.Sprintf("file,id=port%d,path=%s", nr, escape(filepath.Join(dir.path, name))))
		}
		c.add("-device", fmt.Sprintf("virtserialport,chardev=port%d,nr=%d", nr, nr))
	}
	if dir == nil {
		return
	}
	c.add("-fw_cfg", "name="+jobItem+",file="+escape(filepath.Join(dir.path, jobFile)))
	if j.Input != "" {
		c.add("-fw_cfg", "name="+inputItem+",file="+escape(j.Input))
	}
}

// memoryFile lets the machine's memory be a file. A shared one has what the
// machine has written; one that is not is read, and never changed.
func (c *command) memoryFile(path string, memory int, shared bool) {
	share := "off"
	if shared {
		share = "on"
	}
	c.add("-machine", "pc,hpet=on,memory-backend=ram",
		"-object", fmt.Sprintf("memory-backend-file,id=ram,size=%dM,mem-path=%s,share=%s", memory, escape(path), share))
}

// escape makes a path one value of an option.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }
