package observe

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// markProgram is run for Flush, and attached to nothing.
const markProgram = "mark"

// programCosts says what a run lacks without each of the programs.
var programCosts = map[string]string{
	"inet_sock_set_state":  "no socket states; polled snapshots of the socket table only",
	"inet_sk_error_report": "not told when the kernel set a socket's error (Linux 5.14 has it)",
	"tcp_retransmit_skb":   "retransmissions and tail loss probes seen on the wire only, without the kernel's timers",
	"tcp_receive_reset":    "resets received seen on the wire only",
	"tcp_send_reset":       "resets sent seen on the wire only",
	"kfree_skb":            "packets that the kernel dropped are not told",
	"sys_enter":            "no system calls",
	"sys_exit":             "no results of system calls",
	"sched_process_fork":   "process starts are not told",
	"sched_process_exec":   "programs started are not told",
	"sched_process_exit":   "process ends are not told",
	"signal_generate":      "signals are not told",
	textProgram:            "what programs print, and what is typed into them, is not told",
}

// A bpfObject is the loaded and attached object.
type bpfObject struct {
	maps                    map[string]*ebpf.Map
	programs                []*ebpf.Program
	links                   map[string]link.Link     // by the program's name
	calls                   map[string]*ebpf.Program // sys_enter and sys_exit
	mark                    *ebpf.Program
	text                    *ebpf.Program // nil: it is not wanted, or the kernel refused it
	texts                   int           // hosts that want it
	rstReasons, dropReasons map[uint32]string
}

// loadBPF loads what the running kernel can take and attaches it. The kernel's
// BTF is parsed once, and each program is loaded by itself: so that one which
// the kernel refuses costs no other, and on all processors, since the
// verifier takes most of the time. Where time is virtual, every event wakes the
// ring's reader.
func loadBPF(text, virtual bool) (_ *bpfObject, _ []record.Missing, err error) {
	if len(traceObject) == 0 {
		return nil, nil, fmt.Errorf("no eBPF programs for %s", runtime.GOARCH)
	}
	cache := btf.NewCache()
	kernel, err := cache.Kernel()
	if err != nil {
		return nil, nil, fmt.Errorf("read the kernel's type information (CONFIG_DEBUG_INFO_BTF): %w", err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(traceObject))
	if err != nil {
		return nil, nil, fmt.Errorf("parse eBPF object: %w", err)
	}
	if !text {
		delete(spec.Programs, textProgram)
	}
	if virtual {
		if err := spec.Variables["wake_at"].Set(uint64(0)); err != nil {
			return nil, nil, fmt.Errorf("make every event wake the reader: %w", err)
		}
	}
	missing, err := fitToKernel(spec, kernel)
	if err != nil {
		return nil, nil, err
	}

	o := &bpfObject{
		maps:        map[string]*ebpf.Map{},
		links:       map[string]link.Link{},
		calls:       map[string]*ebpf.Program{},
		rstReasons:  enumNames(kernel, "sk_rst_reason", "SK_RST_REASON_"),
		dropReasons: enumNames(kernel, "skb_drop_reason", "SKB_DROP_REASON_"),
	}
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	if err := o.makeMaps(spec, cache); err != nil {
		return nil, nil, err
	}
	refused, err := o.loadPrograms(spec, cache)
	return o, append(missing, refused...), err
}

func (o *bpfObject) makeMaps(spec *ebpf.CollectionSpec, cache *btf.Cache) error {
	only := *spec
	only.Programs = nil
	c, err := ebpf.NewCollectionWithOptions(&only, ebpf.CollectionOptions{Cache: cache})
	if err != nil {
		return fmt.Errorf("create eBPF maps (CAP_BPF and CAP_PERFMON, or root): %w", err)
	}
	o.maps = c.Maps
	return nil
}

// loadPrograms loads and attaches in parallel. It fails if nothing could be.
func (o *bpfObject) loadPrograms(spec *ebpf.CollectionSpec, cache *btf.Cache) ([]record.Missing, error) {
	var (
		mu      sync.Mutex // guards o and what follows
		missing []record.Missing
		first   error
		wg      sync.WaitGroup
	)
	for name := range spec.Programs {
		wg.Go(func() {
			prog, l, err := loadProgram(spec, cache, o.maps, name)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				first = errors.Join(first, err)
				missing = append(missing, missingProgram(name, err.Error()))
				return
			}
			o.programs = append(o.programs, prog)
			switch name {
			case markProgram:
				o.mark = prog
				return
			case textProgram:
				o.text = prog
				return
			case enterProgram, exitProgram:
				o.calls[name] = prog
			}
			o.links[name] = l
		})
	}
	wg.Wait()
	if len(o.links) == 0 || o.mark == nil {
		return nil, fmt.Errorf("load eBPF programs: %w", first)
	}
	return missing, nil
}

func loadProgram(spec *ebpf.CollectionSpec, cache *btf.Cache, maps map[string]*ebpf.Map, name string) (*ebpf.Program, link.Link, error) {
	only := *spec
	only.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
	c, err := ebpf.NewCollectionWithOptions(&only, ebpf.CollectionOptions{MapReplacements: maps, Cache: cache})
	if err != nil {
		return nil, nil, fmt.Errorf("load: %w", err)
	}
	defer c.Close() // the copies of the maps
	prog := c.DetachProgram(name)
	if name == markProgram || name == textProgram {
		return prog, nil, nil
	}
	l, err := attach(prog)
	if err != nil {
		prog.Close()
		return nil, nil, err
	}
	return prog, l, nil
}

func attach(prog *ebpf.Program) (link.Link, error) {
	l, err := link.AttachTracing(link.TracingOptions{Program: prog})
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	return l, nil
}

// fitToKernel takes out the programs whose tracepoint the kernel has not, and
// tells the others how many arguments theirs has.
func fitToKernel(spec *ebpf.CollectionSpec, kernel *btf.Spec) ([]record.Missing, error) {
	var missing []record.Missing
	for name, p := range spec.Programs {
		if name == markProgram {
			continue
		}
		args, ok := tracepointArgs(kernel, p.AttachTo)
		if !ok {
			missing = append(missing, missingProgram(name, "the kernel has no such tracepoint"))
			delete(spec.Programs, name)
			continue
		}
		if v := spec.Variables["args_"+name]; v != nil {
			if err := v.Set(uint32(args)); err != nil {
				return nil, fmt.Errorf("set number of arguments of %s: %w", name, err)
			}
		}
		if name == "tcp_send_reset" && args < 3 {
			missing = append(missing, record.Missing{
				Observer: "ebpf:" + name,
				Why:      "the kernel traces only resets that a socket sends (Linux 6.10 traces all)",
				Cost:     "resets sent for want of a socket seen on the wire only",
			})
		}
	}
	return missing, nil
}

// tracepointArgs reads a tracepoint's prototype: btf_trace_NAME is a pointer
// to a function whose first argument is the tracer's own.
func tracepointArgs(kernel *btf.Spec, name string) (int, bool) {
	var t *btf.Typedef
	if err := kernel.TypeByName("btf_trace_"+name, &t); err != nil {
		return 0, false
	}
	p, ok := t.Type.(*btf.Pointer)
	if !ok {
		return 0, false
	}
	f, ok := p.Target.(*btf.FuncProto)
	if !ok {
		return 0, false
	}
	return len(f.Params) - 1, true
}

// enumNames is empty where the kernel has no such type.
func enumNames(kernel *btf.Spec, name, prefix string) map[uint32]string {
	var e *btf.Enum
	if err := kernel.TypeByName(name, &e); err != nil {
		return nil
	}
	names := make(map[uint32]string, len(e.Values))
	for _, v := range e.Values {
		names[uint32(v.Value)] = strings.TrimPrefix(v.Name, prefix)
	}
	return names
}

func missingProgram(name, why string) record.Missing {
	return record.Missing{Observer: "ebpf:" + name, Why: why, Cost: programCosts[name]}
}

// callsAtOnce is how many entries of the map of calls are read together.
const callsAtOnce = 256

// eachCall goes through the calls in progress of some hosts. The programs write
// to an entry without a lock while it is read: it is read until it is the same
// twice.
func (o *bpfObject) eachCall(of func(host uint32) bool, do func(head bpfHead, raw []byte)) error {
	m := o.maps["calls"]
	keys, values := make([]uint32, callsAtOnce), make([][bpfThreadSize]byte, callsAtOnce)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		for i := range n {
			raw := values[i][:]
			for head, ok := decodeHead(raw); ok && head.kind == bpfEnter && of(head.host); head, ok = decodeHead(raw) {
				again, err := m.LookupBytes(keys[i])
				if err != nil {
					return err
				}
				if same := bytes.Equal(raw, again); same || again == nil {
					if same {
						do(head, raw)
					}
					break
				}
				raw = again
			}
		}
		if err != nil {
			return nil
		}
	}
}

// detach stops the programs; the ring keeps what they told.
func (o *bpfObject) detach() error {
	var errs []error
	for _, l := range o.links {
		errs = append(errs, l.Close())
	}
	o.links = nil
	return errors.Join(errs...)
}

func (o *bpfObject) close() error {
	errs := []error{o.detach()}
	for _, p := range o.programs {
		errs = append(errs, p.Close())
	}
	for _, m := range o.maps {
		errs = append(errs, m.Close())
	}
	o.programs, o.maps = nil, nil
	return errors.Join(errs...)
}
