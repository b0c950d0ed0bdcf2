package warp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// The host's side of TestHostIsSafe, for the side in the machine.
const (
	victimEnv = "LAB_TEST_VICTIM" // a directory
	outEnv    = "LAB_TEST_OUT"
	portEnv   = "LAB_TEST_PORT"
	pidEnv    = "LAB_TEST_PID"
)

// Root in a machine tries to change the host's files, to reach its network and
// its processes, by all ways that there are.
func TestHostIsSafe(t *testing.T) {
	if _, inside := Inside(); inside {
		attack(t)
		return
	}
	u := needUML(t)
	victim, out := t.TempDir(), t.TempDir()
	write(t, victim+"/file", []byte("precious"), 0o644)
	write(t, victim+"/d/file", []byte("precious, too"), 0o644)
	for _, name := range []string{"/file", "/d", ""} {
		if err := os.Chtimes(victim+name, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	local, err := net.Listen("unix", victim+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	before := look(t, victim)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	_, port, _ := net.SplitHostPort(tcp.Addr().String())
	r, err := u.Run(t.Context(), Job{
		Argv: []string{self, "-test.run=^TestHostIsSafe$", "-test.v"}, Dir: "/", Seed: 1, Out: []string{out}, Limit: patience,
		Stdout: &said, Stderr: &said,
		Env: append(os.Environ(), victimEnv+"="+victim, outEnv+"="+out, portEnv+"="+port, pidEnv+"="+strconv.Itoa(os.Getpid())),
	})
	if err != nil || r.Status != 0 || !strings.Contains(said.String(), "--- PASS: TestHostIsSafe") {
		t.Errorf("in the machine: %+v, %v\n%s", r, err, said.String())
	}
	if diff := cmp.Diff(before, look(t, victim)); diff != "" {
		t.Errorf("the host's files were changed (-before +after):\n%s", diff)
	}
	if content, err := os.ReadFile(out + "/file"); string(content) != "result" || err != nil {
		t.Errorf("what may be written: %q, %v", content, err)
	}
}

// look describes the files of a directory, but not when they were read.
func look(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		content := ""
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = string(b)
		}
		files[path] = fmt.Sprintf("%v %d:%d, %d links, of %v: %q", info.Mode(), st.Uid, st.Gid, st.Nlink, info.ModTime(), content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func attack(t *testing.T) {
	victim, out := os.Getenv(victimEnv), os.Getenv(outEnv)
	// What is seen at the host's paths are copies, in memory.
	if err := os.WriteFile(victim+"/file", []byte("spoilt"), 0o644); err != nil {
		t.Errorf("programs cannot write: %v", err)
	}
	if err := os.WriteFile(out+"/file", []byte("result"), 0o644); err != nil {
		t.Errorf("results cannot be written: %v", err)
	}
	// And a link leads to the copies.
	if err := errors.Join(os.Symlink(victim+"/file", out+"/link"), os.WriteFile(out+"/link", []byte("spoilt"), 0o644)); err != nil {
		t.Errorf("write through a link: %v", err)
	}
	if err := unix.Mknod(out+"/device", unix.S_IFBLK|0o666, int(unix.Mkdev(254, 0))); err == nil {
		t.Error("made a device for the host")
	}
	must := func(what string, err error, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	// Each of these shows the host's own once more; what may be written to is
	// there once only, so that nobody can have its links change behind him.
	for name, source := range map[string]string{
		"all": "/", "dots": out + "/../..", "fd": hostFD(workFD), "of fd": hostFD(workFD) + "/../../../../../../..", "again": hostFD(outFD),
	} {
		at := "/run/" + name
		if err := errors.Join(os.Mkdir(at, 0o755), unix.Mount("none", at, "hostfs", 0, source)); err != nil {
			if name == "all" {
				t.Errorf("mount %s: %v", source, err)
			}
			continue
		}
		defer func() { must("unmount "+at, unix.Unmount(at, 0), nil) }()
		must(name+": create", os.WriteFile(at+"/new", nil, 0o600), unix.EROFS)
		must(name+": chmod", os.Chmod(at, 0o700), unix.EROFS)
		must(name+": mount rw", unix.Mount("", at, "", unix.MS_REMOUNT, ""), unix.EROFS)
		must(name+": mount rw with data", unix.Mount("", at, "", unix.MS_REMOUNT, hostFD(outFD)), unix.EROFS)
	}
	v := "/run/all" + victim
	for what, err := range map[string]error{
		"write":    os.WriteFile(v+"/file", []byte("spoilt"), 0o644),
		"create":   os.WriteFile(v+"/new", []byte("spoilt"), 0o644),
		"truncate": unix.Truncate(v+"/file", 0),
		"chmod":    unix.Chmod(v+"/file", 0o777),
		"chown":    unix.Chown(v+"/file", 12345, 12345),
		"utimes":   os.Chtimes(v+"/file", time.Unix(1, 0), time.Unix(1, 0)),
		"rename":   os.Rename(v+"/file", v+"/other"),
		"link":     os.Link(v+"/file", v+"/other"),
		"symlink":  os.Symlink("file", v+"/other"),
		"mkdir":    os.Mkdir(v+"/other", 0o755),
		"mkfifo":   unix.Mkfifo(v+"/other", 0o600),
		"unlink":   os.Remove(v + "/file"),
		"remove":   os.RemoveAll(v + "/d"),
		"proc":     os.WriteFile("/run/all/proc/self/comm", []byte("spoilt"), 0),
	} {
		must(what, err, unix.EROFS)
	}
	if err := unix.Setxattr(v+"/file", "user.lab", []byte("spoilt"), 0); err == nil {
		t.Error("set an extended attribute")
	}
	if _, err := net.DialTimeout("tcp", "127.0.0.1:"+os.Getenv(portEnv), time.Minute); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connect to the host: %v", err)
	}
	for _, root := range []string{"", "/run/all"} {
		if _, err := net.Dial("unix", root+victim+"/socket"); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("connect to a socket of the host's files: %v", err)
		}
	}
	pid, err := strconv.Atoi(os.Getenv(pidEnv))
	if err != nil {
		t.Fatal(err)
	}
	must("signal the host's processes", unix.Kill(pid, unix.SIGKILL), unix.ESRCH)
	must("trace them", unix.PtraceAttach(pid), unix.ESRCH)
}
