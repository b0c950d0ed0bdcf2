package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/internal/testtmux"
	"github.com/seed-6fefc909/tcplab/lab/byhand"
)

// killSupervisor kills the lab's supervisor and waits for its end.
func (h *hand) killSupervisor() {
	h.t.Helper()
	pid := h.status().PID
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		h.t.Fatal(err)
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10000)
		if n == 1 {
			return
		}
		if err != unix.EINTR {
			h.t.Fatalf("the supervisor is there after 10 s: %v", err)
		}
	}
}

// A lab ends with its supervisor, however that ends, and each who runs a program
// is told. What is left of it has no effect, and is replaced or cleaned up.
func TestHandSupervisorKilled(t *testing.T) {
	t.Parallel()
	h := newHandUp(t, "--netns")
	tmux := h.tmux()
	var panes []*testtmux.Pane
	var runs []*testtmux.Started
	for i, host := range []string{"client", "server", "server"} {
		p := tmux.Pane(120, 24)
		runs = append(runs, p.Start(fmt.Sprintf("lab exec --name $N %s -- sleep 100%d", host, i)))
		panes = append(panes, p)
		h.runs(host, fmt.Sprintf("sleep 100%d", i))
	}
	watching := tmux.Pane(120, 24).Start("lab watch --name $N")
	h.until("it is watched", func(s *byhand.Status) bool { return s.Watchers == 1 })
	panes[2].Press("C-z")
	if _, status := runs[2].Wait(); status != 148 {
		t.Errorf("Ctrl-Z: status %d", status)
	}
	namespaces := h.namespaces()
	h.killSupervisor()
	if out, status := watching.Wait(); status != 1 || !testtmux.Contains("its supervisor is gone, and the lab with it")(out) {
		t.Errorf("watch: status %d, %q", status, out)
	}
	runs[2] = panes[2].Start("fg")
	for i, run := range runs {
		if out, status := run.Wait(); status != 137 || !testtmux.Contains("sleep was ended: its supervisor is gone, and the lab with it")(out) {
			t.Errorf("program %d: status %d, %q", i, status, out)
		}
	}
	wantNamespacesGone(t, namespaces)
	if out, _ := panes[0].Run("lab ls"); testtmux.Contains(h.name)(out) {
		t.Errorf("lab ls shows it: %q", out)
	}
	h.refused(1, "is not up", "status")
	h.refused(1, "is not up", "exec", "client", "--", "true")
	h.refused(1, "is not up", "down")

	h.must("up", "--netns") // in its place
	h.must("exec", "client", "--", "true")
	namespaces = h.namespaces()
	h.killSupervisor()
	wantNamespacesGone(t, namespaces)
	if left := slices.Concat(h.files("/run/lab"), h.files("/run/netns")); len(left) != 6 {
		t.Errorf("a supervisor that was killed left %q", left)
	}
	out, status := panes[0].Run("lab clean")
	if status != 0 || !testtmux.Contains("/run/lab/"+h.name+".sock")(out) || !testtmux.Contains("/run/netns/"+h.name+"-client")(out) {
		t.Errorf("lab clean: status %d, %q", status, out)
	}
	h.wantNothing()
}

// Who has no right to it is told so, and users who have it share a lab, in which
// each is who they are.
func TestHandUsers(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	c := h.command("status")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := c.CombinedOutput()
	if c.ProcessState.ExitCode() != 3 || !strings.Contains(string(out), "sudo lab status") {
		t.Errorf("of an ordinary user: %v, %s", err, out)
	}
	dir := openDir(t)
	as := func(uid string, args ...string) string {
		t.Helper()
		c := h.command(append([]string{"exec"}, args...)...)
		c.Dir = dir
		c.Env = append(c.Env, "SUDO_UID="+uid, "SUDO_GID="+uid, "USER=root", "LOGNAME=root")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("as %s: %v, %s", uid, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, name := range []string{"daemon", "nobody"} {
		who, err := user.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "of-"+name)
		if got := as(who.Uid, "client", "--", "sh", "-c", "id -un; echo $USER $HOME; pwd; touch "+file); got != fmt.Sprintf("%s\n%s %s\n%s", name, name, who.HomeDir, dir) {
			t.Errorf("%s is told %q", name, got)
		}
		if info, err := os.Stat(file); err != nil || fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid) != who.Uid {
			t.Errorf("the file of %s: %v, %v", name, info, err)
		}
		if got := as(who.Uid, "--user", "root", "client", "--", "id", "-u"); got != "0" {
			t.Errorf("%s, as root: %q", name, got)
		}
		if got := as("0", "--user", name, "client", "--", "id", "-un"); got != name {
			t.Errorf("root, as %s: %q", name, got)
		}
	}
	h.refused(2, "no such user", "exec", "--user", "no-such-user", "client", "--", "true")
	secret := filepath.Join(dir, "secret")
	if err := os.Mkdir(secret, 0o700); err != nil {
		t.Fatal(err)
	}
	c = h.command("exec", "--user", "nobody", "client", "--", "true")
	c.Dir = secret
	if out, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != 126 || !strings.Contains(string(out), "hint: ") {
		t.Errorf("in a directory that is not for them: %v, %s", c.ProcessState, out)
	}
}

// What files whoever makes a lab has open, nothing of the lab has, and a program of
// an ordinary user's has none of root's.
func TestHandFiles(t *testing.T) {
	t.Parallel()
	h := newHand(t)
	dir := openDir(t)
	given, err := os.Create(filepath.Join(dir, "given"))
	if err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	with := func(args ...string) string {
		t.Helper()
		c := h.command(args...)
		c.Dir, c.ExtraFiles = dir, []*os.File{given, given, given, given}
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("lab %v: %v, %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	with("up")
	t.Cleanup(func() { h.do("down") })
	s := h.status()
	for _, pid := range []int{s.PID, s.Hosts[0].PID, s.Hosts[1].PID} {
		fds := fmt.Sprintf("/proc/%d/fd", pid)
		files, err := os.ReadDir(fds)
		if err != nil || len(files) == 0 {
			t.Errorf("the descriptors of %d: %v, %v", pid, files, err)
		}
		for _, f := range files {
			if to, _ := os.Readlink(filepath.Join(fds, f.Name())); to == given.Name() {
				t.Errorf("process %d has %s open", pid, to)
			}
		}
	}
	for user, want := range map[string]string{"root": given.Name(), "nobody": ""} {
		if got := with("exec", "--user", user, "client", "--", "sh", "-c", "readlink /proc/self/fd/5 || :"); got != want {
			t.Errorf("a program of %s has %q for descriptor 5, want %q", user, got, want)
		}
	}
}

// ups is how many labs come and go, one after the other.
const ups = 100

func TestHandUpAndDown(t *testing.T) {
	t.Parallel()
	h := newHand(t)
	for range ups {
		h.must("up")
		h.must("down")
	}
	h.refused(1, "is not up", "down")
}

// What is said to do next can be typed as it stands.
func TestHandHints(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	h.refused(2, "hint: take another --name, or sudo lab down --name "+h.name, "up")
	h.refused(2, "hint: sudo lab record start --name "+h.name, "record", "stop")
	h.refused(2, `no fault "crsh", did you mean crash? There are `, "fault", "crsh")
	h.refused(2, ", freeze, thaw, heal\n", "fault", "sabotage")
	h.refused(exitNotFound, `lab: {sever:port} stays as it is: there are {server:port}, {any:port}`+"\n", "exec", "client", "--", "no-such-program", "{sever:port}")
	h.refused(2, "hint: see lab watch --help\n", "watch", "two")
	h.refused(2, "hint: for example sudo lab shell --name "+h.name+" client\n", "shell")
}

// A name is one lab's.
func TestHandOneName(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	h.refused(2, "is up already", "up")
	h.must("exec", "client", "--", "true")
	h.must("down")
	statuses := make([]int, 6)
	for range 5 {
		var all sync.WaitGroup
		for i := range statuses {
			all.Go(func() { _, statuses[i] = h.do("up") })
		}
		all.Wait()
		if slices.Sort(statuses); !slices.Equal(statuses, []int{0, 2, 2, 2, 2, 2}) {
			t.Fatalf("of %d at once: exit statuses %v", len(statuses), statuses)
		}
		h.must("exec", "server", "--", "true")
		// While it goes down, others would have its name.
		for i := range statuses {
			all.Go(func() {
				if i%2 == 0 {
					_, statuses[i] = h.do("down")
				} else {
					_, statuses[i] = h.do("up")
				}
			})
		}
		all.Wait()
		if _, status := h.do("status"); status == 0 {
			h.must("exec", "server", "--", "true")
			h.must("down")
		}
		h.wantNothing()
	}
}

// inOwnRun runs a shell's commands where /run is another, of that many files.
func (h *hand) inOwnRun(files int, commands string) (output string, status int) {
	h.t.Helper()
	c := exec.Command("unshare", "--mount", "--propagation", "private", "bash", "-c",
		fmt.Sprintf("mount -t tmpfs -o mode=755,nr_inodes=%d run /run || exit 99\n%s", files, commands))
	c.Env = []string{"PATH=" + filepath.Dir(h.lab) + ":" + os.Getenv("PATH"), "N=" + h.name, "HOME=/"}
	out, err := c.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		h.t.Fatal(err)
	} else if ok {
		status = exit.ExitCode()
	}
	return string(out), status
}

// Where there is no room for its files a lab does not come up, and leaves nothing.
func TestHandFullRun(t *testing.T) {
	t.Parallel()
	h := newHand(t)
	came := false
	for files := 1; files < 12; files++ {
		out, status := h.inOwnRun(files, `lab up --name $N --netns
status=$?
((status)) || lab down --name $N >/dev/null || exit 98
find /run -mindepth 1 ! -path /run/lab -printf 'left: %p\n'
exit $status`)
		if strings.Contains(out, "left: ") {
			t.Errorf("room for %d: %s", files, out)
		}
		if status == 0 {
			came = true
		} else if status != 3 || came || !strings.Contains(out, "no space left") || !strings.Contains(out, "make room there") {
			t.Errorf("room for %d: exit status %d, %s", files, status, out)
		}
	}
	if !came {
		t.Error("it never came up")
	}
}

// A directory for the sockets that others could change is not used.
func TestHandForeignRun(t *testing.T) {
	t.Parallel()
	h := newHand(t)
	for what, prepare := range map[string]string{
		"open":      "mkdir -m 755 /run/lab",
		"another's": "mkdir -m 700 /run/lab; chown nobody /run/lab",
		"a link":    "mkdir -m 700 /run/real; ln -s real /run/lab",
		"a file":    "touch /run/lab",
	} {
		out, status := h.inOwnRun(0, prepare+"; ls -lR /run >/tmp/$N.before; lab up --name $N; status=$?; ls -lR /run | diff /tmp/$N.before -; rm /tmp/$N.before; exit $status")
		if status != 3 || !strings.Contains(out, "0700") || !strings.Contains(out, "hint: ") || strings.Count(out, "\n") != 2 {
			t.Errorf("%s: exit status %d, %s", what, status, out)
		}
	}
	if out, status := h.inOwnRun(0, "lab ls && lab clean && test ! -e /run/lab"); status != 0 || !strings.Contains(out, "no lab is up") {
		t.Errorf("without a directory: exit status %d, %s", status, out)
	}
}

// Faults on top of others do what they do alone, and are told as in force.
func TestHandFaultOnFault(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	serving := h.command("exec", "server", "--", "sleep", "1000")
	if err := serving.Start(); err != nil {
		t.Fatal(err)
	}
	h.runs("server", "sleep 1000")
	inForce := func(want ...string) {
		t.Helper()
		kinds := []string{}
		for _, f := range h.status().Faults {
			kinds = append(kinds, strings.TrimSpace(f.Kind+" "+f.Host))
		}
		if slices.Sort(kinds); !slices.Equal(kinds, want) {
			t.Errorf("in force: %q, want %q", kinds, want)
		}
	}
	// Where nothing listens the server's kernel answers by refusing.
	reaches := func(want bool) {
		t.Helper()
		out, _ := h.do("exec", "client", "--", "timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/10.0.1.2/7")
		if strings.Contains(out, "refused") != want {
			t.Errorf("the client is told %q", out)
		}
	}
	reaches(true)
	h.must("fault", "partition-to-server")
	reaches(false)
	h.must("fault", "crash")
	_ = serving.Wait()
	if serving.ProcessState.ExitCode() != 137 {
		t.Errorf("the server's program: %v", serving.ProcessState)
	}
	inForce("crash server", "partition client")
	boots := " is down\nhint: sudo lab fault --name " + h.name + " reboot server boots it again\n"
	h.refused(1, boots, "fault", "crash")
	h.refused(1, boots, "exec", "server", "--", "true")
	h.must("fault", "crash", "client")
	inForce("crash client", "crash server", "partition client")
	h.must("fault", "heal")
	inForce("crash client", "crash server")
	h.must("fault", "reboot", "client")
	h.must("fault", "reboot", "server")
	inForce()
	reaches(true)
	h.must("fault", "unreachable-host")
	h.refused(2, "no-such-fault", "fault", "no-such-fault")
}

// A lab goes down, whatever runs in it, and each is told.
func TestHandDownWhileRunning(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	p := h.tmux().Pane(100, 24)
	stubborn := p.Start(on + `bash -c 'trap "" TERM HUP INT; sleep 1000'`)
	h.runs("client", "sleep 1000")
	watch := h.command("watch")
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	h.until("somebody watches", func(s *byhand.Status) bool { return s.Watchers == 1 })
	namespaces := h.namespaces()
	h.must("down")
	if out, status := stubborn.Wait(); status != 137 || !testtmux.Contains("was taken down")(out) {
		t.Errorf("the program: status %d, %q", status, out)
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("who watched: %v", err)
	}
	wantNamespacesGone(t, namespaces)
}

// The hosts' network namespaces have names where that was asked for, as long as
// the lab is up.
func TestHandNetNS(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ip"); err != nil {
		testenv.Lack(t, "needs ip: %v", err)
	}
	h := newHandUp(t, "--netns")
	address := func(node, want string) {
		t.Helper()
		out, err := exec.Command("ip", "netns", "exec", h.name+"-"+node, "ip", "-4", "-o", "address").CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s, want %s", node, err, out, want)
		}
	}
	address("client", "10.0.0.1/24")
	address("server", "10.0.1.2/24")
	address("router", "10.0.0.254/24")
	h.must("fault", "crash")
	h.must("fault", "reboot")
	address("server", "10.0.1.2/24")
	if out := h.must("status"); !strings.Contains(out, "ip netns exec "+h.name+"-server") {
		t.Errorf("status: %s", out)
	}
	h.must("down")
	h.wantNothing()
}

// A supervisor of another version is told of, and can be taken down all the same.
func TestHandOtherVersion(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	// The lab's own supervisor, asked by another version.
	c, err := net.Dial("unix", "/run/lab/"+h.name+".sock")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, `{"version":99,"op":"status"}`)
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "version") || !strings.Contains(line, "lab down --name "+h.name) {
		t.Errorf("asked in version 99: %v, %s", err, line)
	}
	h.must("down")

	// One of another version, by what is common to all: how it refuses, and down.
	path := "/run/lab/" + h.name + ".sock"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 10)
	go func() {
		defer close(asked)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			switch {
			case line == "":
			case strings.Contains(line, `"op":"down"`):
				fmt.Fprintln(c, `{"body":{}}`)
				asked <- line
			default:
				fmt.Fprintln(c, `{"error":{"text":"the lab speaks version 7 of its protocol","kind":"usage"}}`)
			}
			c.Close()
		}
	}()
	h.refused(2, "version 7", "status")
	h.refused(2, "version 7", "exec", "client", "--", "true")
	h.must("down")
	l.Close()
	if line := <-asked; line == "" {
		t.Error("it was not taken down")
	}
}

// Who speaks nonsense, or says nothing, or does not read what is told, is in
// nobody's way.
func TestHandBadClients(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	path := "/run/lab/" + h.name + ".sock"
	for i := range 40 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%4 == 0 {
			fmt.Fprint(c, strings.Repeat("\x00\xff[{\"", 1000*i), "\n")
		}
	}
	var stuck []*exec.Cmd
	for _, form := range []string{"text", "jsonl"} {
		watch := h.command("watch", "--output", form, "--all")
		out, err := watch.StdoutPipe() // that nobody reads
		if err == nil {
			err = watch.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		stuck = append(stuck, watch)
	}
	h.until("two watch", func(s *byhand.Status) bool { return s.Watchers == 2 })
	h.must("exec", "client", "--", "sh", "-c", "for i in $(seq 300); do echo $i of a line with many words in it; sh -c :; done")
	h.must("fault", "crash")
	h.must("fault", "reboot")
	began := time.Now()
	h.must("down")
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v to go down", took)
	}
	for _, watch := range stuck {
		_ = watch.Process.Kill()
		_ = watch.Wait()
	}
}

// What was recorded is written, wherever what is printed goes; and it goes on being
// recorded, if the place for it cannot be written to.
func TestHandRecordIsNotLost(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	at, other := filepath.Join(t.TempDir(), "at"), filepath.Join(t.TempDir(), "other")
	if said := h.must("record", "start", "--out", at); said != "recording; sudo lab record stop --name "+h.name+" ends it\n" {
		t.Errorf("it began, and said: %s", said)
	}
	if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory, before there is anything for it: %v", err)
	}
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.refused(exitUsage, "not a directory", "record", "stop")
	h.refused(exitUsage, "not a directory", "down")
	if h.status().Recording == nil {
		t.Error("it has ended")
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	stop := h.command("record", "stop", "--out", other)
	stop.Stdout = writer
	if err := stop.Run(); err != nil {
		t.Errorf("record stop: %v", err)
	}
	for _, file := range []string{recordName, pageName, junitName} {
		if info, err := os.Stat(filepath.Join(other, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
	if s := h.status(); s.ToSave() != nil {
		t.Errorf("it was saved, and yet: %+v", s.ToSave())
	}
	if said := h.must("record", "start", "--out", other); !strings.HasSuffix(said, "\nthe record in "+other+" will be replaced\n") {
		t.Errorf("where a record is: %s", said)
	}
	if said := h.must("record", "stop"); !strings.Contains(said, "\nreplaced in "+other+": report.html, record.json, junit.xml, capture-client.pcapng, capture-server.pcapng\n") {
		t.Errorf("it was replaced: %s", said)
	}
	h.must("record", "start")
	if said := h.must("record", "stop"); !strings.HasSuffix(said, "\nnot kept: --out DIR writes the record, its page and the captures\n") {
		t.Errorf("it was not kept: %s", said)
	}
}

// A lab goes down though nobody reads what was recorded, and that is written.
func TestHandDownUnread(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	out := filepath.Join(t.TempDir(), "out")
	h.must("record", "start", "--out", out)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	down := h.command("down")
	down.Stdout = writer
	if err := down.Run(); err != nil {
		t.Errorf("down: %v", err)
	}
	if info, err := os.Stat(filepath.Join(out, recordName)); err != nil || info.Size() == 0 {
		t.Errorf("the record: %v", err)
	}
	h.refused(1, "is not up", "status")
}

// Who watches ends with who reads, also while nothing happens.
func TestHandWatchUnread(t *testing.T) {
	t.Parallel()
	h := newHandUp(t)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	watch := h.command("watch", "--all")
	watch.Stdout = writer
	err = watch.Start()
	writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	h.until("it is watched", func(s *byhand.Status) bool { return s.Watchers == 1 })
	reader.Close()
	ended := make(chan error, 1)
	go func() { ended <- watch.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("watch: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it goes on")
		_ = watch.Process.Kill()
		<-ended
	}
}
