//go:build amd64

package warp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A qemuGuest has all its files in memory: those of the image, and later what
// the command writes. The engine hears of it through the ports of a virtio
// serial device.
type qemuGuest struct {
	job                    Job
	stdout, stderr, result *os.File
}

func newQEMUGuest() guest { return &qemuGuest{} }

func (g *qemuGuest) start() (Job, error) {
	if err := mountKernel(""); err != nil {
		return g.job, err
	}
	if err := loadModules(imageModules); err != nil {
		return g.job, err
	}
	for nr, port := range map[int]**os.File{stdoutPort: &g.stdout, stderrPort: &g.stderr, resultPort: &g.result} {
		var err error
		if *port, err = openPort(nr); err != nil {
			return g.job, err
		}
	}
	if err := g.takeJob(); err != nil {
		return g.job, err
	}
	if err := reseed(g.job.Seed); err != nil {
		return g.job, err
	}
	for _, dir := range append([]string{g.job.Dir}, g.job.Out...) {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return g.job, err
		}
	}
	return g.job, unix.Sethostname([]byte("lab"))
}

func (g *qemuGuest) outputs() (stdout, stderr io.Writer) { return g.stdout, g.stderr }

func (g *qemuGuest) finish(o outcome) error { return writeResult(g.result, g.job.Out, o) }

// loadModules loads the modules of a directory in the order of their files'
// names, and removes them.
func loadModules(dir string) error {
	files, err := filepath.Glob(dir + "/*.ko")
	if err != nil {
		return err
	}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load kernel module %s: %w", filepath.Base(path), err)
		}
	}
	return os.RemoveAll(dir)
}

// openPort opens a port of the serial device when it is there: the kernel
// makes it on its own time. A write to it returns when the engine has it all.
func openPort(nr int) (*os.File, error) {
	path := fmt.Sprintf("/dev/vport0p%d", nr)
	for range 1000 {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if !errors.Is(err, unix.ENOENT) {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		time.Sleep(time.Millisecond) // of the machine's time
	}
	return nil, fmt.Errorf("open %s: %w", path, fs.ErrNotExist)
}

// takeJob reads what the engine gives. If it gives nothing yet, the machine is
// one to be saved: it stops here, and what goes on are its copies.
func (g *qemuGuest) takeJob() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := iopl(3); err != nil {
		return err
	}
	text, ok := fwcfgRead(jobItem)
	if !ok {
		outb(pvpanicPort, pvpanicPanicked)
		if text, ok = fwcfgRead(jobItem); !ok {
			return errors.New("there is no job")
		}
	}
	input, given := fwcfgRead(inputItem)
	if err := iopl(0); err != nil {
		return err
	}
	var err error
	if g.job, err = readJob(text); err != nil || !given {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(g.job.Input), 0o755); err != nil {
		return err
	}
	return os.WriteFile(g.job.Input, input, 0o644)
}

// iopl lets the thread use I/O ports: level 3, and 0 for none.
func iopl(level uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOPL, level, 0, 0); errno != 0 {
		return fmt.Errorf("use I/O ports: %w", errno)
	}
	return nil
}

// QEMU's pvpanic device (docs/specs/pvpanic.txt), with -action panic=pause.
const (
	pvpanicPort     = 0x505
	pvpanicPanicked = 1
)

// QEMU's firmware configuration device (docs/specs/fw_cfg.txt).
const (
	fwcfgSelector  = 0x510
	fwcfgData      = 0x511
	fwcfgDirectory = 0x19
	fwcfgEntry     = 64 // octets: size, key, two unused, name
)

// fwcfgRead reads the item of a name. The thread must be allowed to use the
// ports.
func fwcfgRead(name string) (content []byte, ok bool) {
	read := func(n int) []byte {
		p := make([]byte, n)
		if n > 0 {
			insb(fwcfgData, p)
		}
		return p
	}
	outw(fwcfgSelector, fwcfgDirectory)
	for range binary.BigEndian.Uint32(read(4)) {
		entry := read(fwcfgEntry)
		if item, _, _ := strings.Cut(string(entry[8:]), "\x00"); item == name {
			outw(fwcfgSelector, binary.BigEndian.Uint16(entry[4:]))
			return read(int(binary.BigEndian.Uint32(entry))), true
		}
	}
	return nil, false
}

// reseed has all random numbers from here on follow from the seed: those that
// a saved machine had drawn already are the same in all its copies.
func reseed(seed uint64) error {
	f, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(binary.LittleEndian.AppendUint64(nil, seed)); err != nil {
		return fmt.Errorf("seed the random numbers: %w", err)
	}
	const rndReseedCRNG = 0x5207 // <linux/random.h>
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), rndReseedCRNG, 0); errno != 0 {
		return fmt.Errorf("seed the random numbers: %w", errno)
	}
	return nil
}
