package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/observe"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/viewer"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A Finding is one thing that this machine can do or not.
type Finding struct {
	Name string
	OK   bool
	Seen string // what was tried, and what came of it
	Lost string // what does not work without it
	Get  string // how to get it
	// Needed: without it nothing runs on this machine's kernel.
	Needed bool
	// Machine: it is a virtual-time machine, where experiments run, too.
	Machine bool
}

// Doctor tries everything that runs rely on, for real, and leaves nothing
// behind. It tells each finding as it comes: to boot a machine takes seconds.
func Doctor(ctx context.Context, found func(Finding)) {
	p := privileges()
	found(p)
	if p.OK {
		for _, path := range topology.Paths {
			found(tryPath(path))
		}
		found(tryWire())
		for _, f := range tryEBPF() {
			found(f)
		}
	}
	tryMachines(ctx, found)
	found(findViewer())
	found(leftovers())
}

func privileges() Finding {
	f := Finding{Name: "privileges", OK: true, Seen: "root, with the capabilities that runs need", Lost: "everything but list, explain and report, and what virtual-time machines do", Needed: true}
	if err := Preflight(); err != nil {
		f.OK, f.Seen = false, err.Error()
		f.Get, _ = Explain(err)
	}
	return f
}

func tryPath(path topology.Path) Finding {
	f := Finding{
		Name: "path " + string(path), Lost: "scenarios on this path", Needed: true,
	}
	begun := time.Now()
	n, err := topology.New(topology.Config{Path: path, AnswerARP: true})
	if err == nil {
		err = n.Close()
	}
	if err != nil {
		f.Seen = err.Error()
		f.Get, _ = Explain(err)
		return f
	}
	f.OK, f.Seen = true, fmt.Sprintf("built and taken down in %v", time.Since(begun).Round(100*time.Microsecond))
	return f
}

func tryWire() Finding {
	f := Finding{Name: "packets", Lost: "the wire: no signature can be checked", Get: "a kernel with CONFIG_PACKET and CAP_NET_RAW"}
	ns, err := topology.NewNamespace()
	if err == nil {
		defer ns.Close()
		err = func() error {
			clock, err := observe.NewClock()
			if err != nil {
				return err
			}
			h := observe.Host{Name: "doctor", Net: ns, Iface: "lo"}
			tap, err := observe.OpenWire(clock, h, func(record.Event) {})
			if err != nil {
				return err
			}
			_, err = tap.Close()
			if err != nil {
				return err
			}
			_, err = observe.Sockets(h)
			return err
		}()
	}
	if f.OK = err == nil; f.OK {
		f.Seen = "captured by a TPACKET_V3 ring; sockets read by sock_diag"
	} else {
		f.Seen = err.Error()
	}
	return f
}

func findViewer() Finding {
	f := Finding{Name: "packets live", Lost: "--wireshark", Get: viewer.Hint}
	p, err := viewer.Find()
	if err != nil {
		f.Seen = err.Error()
		return f
	}
	f.OK, f.Seen = true, "shown by "+p.Name+", "+p.Argv[0]
	return f
}

func tryEBPF() []Finding {
	f := Finding{
		Name: "eBPF", Lost: "system calls, processes, TCP's doings: verdicts are inconclusive",
		Get: "a kernel with CONFIG_DEBUG_INFO_BTF (Debian 11, Ubuntu 20.10 and later), CAP_BPF and CAP_PERFMON",
	}
	begun := time.Now()
	tracer, missing, err := observe.OpenTracer(true)
	if err != nil {
		f.Seen = err.Error()
		return []Finding{f}
	}
	took := time.Since(begun)
	if err := tracer.Close(); err != nil {
		f.Seen = err.Error()
		return []Finding{f}
	}
	f.OK, f.Seen = true, fmt.Sprintf("programs loaded and attached in %v", took.Round(time.Millisecond))
	findings := []Finding{f}
	for _, m := range missing {
		findings = append(findings, Finding{
			Name: m.Observer, Seen: m.Why, Lost: m.Cost, Get: "a younger kernel",
		})
	}
	return findings
}

// Machine describes the kernel in a line.
func Machine() string {
	k := thisKernel()
	s := fmt.Sprintf("Linux %s %s, HZ=%d", k.Release, k.Machine, k.HZ)
	for _, key := range youngSysctls {
		if !sysctlExists(key) {
			s += ", no " + key
		}
	}
	return s
}

// leftovers looks for inits of hosts whose lab is gone. There are none, unless
// this program has a fault: an init ends with its lab. And it looks for the
// directories of runs, {dir}, which a lab that is killed leaves.
func leftovers() Finding {
	f := Finding{Name: "nothing left behind", Seen: "no host without its lab", Get: "kill -9 the processes named"}
	if left := abandonedDirs(); len(left) > 0 {
		f.Seen, f.Lost, f.Get = "directories of runs whose lab is gone: "+strings.Join(left, ", "), "their room", "rm -r them"
		return f
	}
	orphans, err := topology.Orphans()
	if f.OK = err == nil && len(orphans) == 0; !f.OK {
		f.Seen = fmt.Sprintf("hosts whose lab is gone: processes %v", orphans)
		if err != nil {
			f.Seen = err.Error()
		}
	}
	return f
}

// abandonedDirs are those of runs whose lab is gone.
func abandonedDirs() []string {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), scratchPrefix+"*-*"))
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(dirs, func(dir string) bool {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), scratchPrefix), "-")
		_, err := os.Stat("/proc/" + pid)
		return err == nil
	})
}
