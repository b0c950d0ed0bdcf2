package warp

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	imageInit    = "/init"
	imageModules = "/lab-machine/modules"
)

// smallFiles are what programs look up; those that are there are taken along.
var smallFiles = [...]string{
	"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/gai.conf",
	"/etc/services", "/etc/protocols", "/etc/localtime", "/etc/ld.so.cache", "/etc/os-release",
}

// image is what the machine has of this one's files for a job. The kernel's
// modules are not in it yet: to take them out of their packing takes long.
func (q *QEMU) image(j Job) (*image, error) {
	m := newImage()
	for _, dir := range []string{"/proc", "/sys", "/dev", "/run", "/root", "/mnt", "/var/tmp", "/etc"} {
		m.makeDir(dir)
	}
	m.members["/tmp"] = member{mode: unix.S_IFDIR | unix.S_ISVTX | 0o777}
	m.members["/var/tmp"] = m.members["/tmp"]
	for _, path := range smallFiles {
		if err := m.addIfThere(path); err != nil {
			return nil, err
		}
	}
	init, err := m.add(q.init)
	if err != nil {
		return nil, err
	}
	m.link(imageInit, init)
	for _, path := range []string{q.init, "/bin/sh"} {
		if err := m.addProgram(path); err != nil {
			return nil, err
		}
	}
	for _, path := range append([]string{j.Argv[0]}, j.Programs...) {
		if err := m.addAsked(path); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// addAsked is addProgram for what the job names. The error is a *JobError.
func (m *image) addAsked(path string) error {
	what := "take " + path + " along"
	if filepath.Clean(path) == "/" {
		return &JobError{What: what, Err: errors.New("that would be everything")}
	}
	err := m.addProgram(path)
	if err == nil {
		return nil
	}
	hint := ""
	if errors.Is(err, errTooMuch) {
		hint = "qemu's machine has its files in memory: name a smaller directory, or use --engine uml, which sees this machine's"
	}
	return &JobError{What: what, Err: err, Hint: hint}
}

// size is how much memory the files take, in MiB, in steps of 64.
func (m *image) size() int {
	var octets int64
	for _, f := range m.members {
		octets += f.size + 4096
	}
	return int(octets>>26+1) * 64
}

// imageMemory is a machine's memory, in MiB: the files are in it twice while
// they are unpacked, and may take no more than half of it then.
func imageMemory(m *image, j Job) int { return j.memory() + 2*m.size() }

// key names what a machine that is ready for the job was made of: the command
// line, QEMU, the kernel, its modules and the image.
func (q *QEMU) key(m *image, j Job) (string, error) {
	h := sha256.New()
	c := q.command(imageMemory(m, j), 0)
	c.files(nil, j)
	fmt.Fprintf(h, "%q %q %q %q", c, q.version, modulesNeeded, modulesUseful)
	kernel, err := sumOf(q.kernel)
	if err != nil {
		return "", err
	}
	h.Write(kernel)
	modules, err := openModules(q.modules)
	if err != nil {
		return "", err
	}
	if err := modules.sum(h); err != nil {
		return "", err
	}
	if err := m.sum(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil))[:32], nil
}

// writeInitrd writes the image with the kernel's modules.
func (q *QEMU) writeInitrd(w io.Writer, m *image) error {
	tree, err := openModules(q.modules)
	if err != nil {
		return err
	}
	modules, err := tree.order(modulesNeeded[:], modulesUseful[:])
	if err != nil {
		return err
	}
	m.makeDir(imageModules)
	for i, one := range modules {
		path := filepath.Join(imageModules, fmt.Sprintf("%03d-%s.ko", i, one.name))
		m.members[path] = member{mode: unix.S_IFREG | 0o644, text: string(one.content)}
	}
	return m.write(w)
}
