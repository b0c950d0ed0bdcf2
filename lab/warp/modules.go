package warp

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A moduleTree is a directory with a kernel's modules, as /lib/modules/RELEASE.
type moduleTree struct {
	dir     string
	files   map[string]string // by the module's name
	builtin map[string]bool   // what is part of the kernel itself
}

// A module is one to load. The modules that it needs come before it.
type module struct {
	name    string
	content []byte // an ELF object
}

// modulesNeeded are those of the kernel's features that networks are made of
// and observed with, modulesUseful what a program may ask for besides.
var (
	modulesNeeded = [...]string{
		"virtio_pci", "virtio_console", "af_packet", "veth", "bridge", "inet_diag", "tcp_diag",
		"nf_tables", "nft_ct", "nft_reject", "nft_reject_inet", "sch_netem",
	}
	modulesUseful = [...]string{
		"ipv6", "unix", "udp_diag", "raw_diag", "unix_diag", "af_packet_diag", "netlink_diag", "nft_limit", "nft_log", "nft_nat",
		"nft_masq", "nft_reject_ipv4", "nft_reject_ipv6", "nft_reject_netdev", "nft_meta_bridge", "nft_reject_bridge", "nf_conntrack_bridge", "nf_conntrack_netlink", "sch_tbf", "sch_fq", "sch_ingress",
		"cls_u32", "tun", "tcp_bbr", "tls",
	}
)

func openModules(dir string) (*moduleTree, error) {
	t := &moduleTree{dir: dir, files: map[string]string{}, builtin: map[string]bool{}}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("read the kernel's modules: %w", err)
	}
	for line := range strings.Lines(string(builtin)) {
		name, _ := moduleName(strings.TrimSpace(line))
		t.builtin[name] = true
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name, ok := moduleName(path); ok && !d.IsDir() {
			t.files[name] = path
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the kernel's modules: %w", err)
	}
	return t, nil
}

// moduleName gives the name of the module that a file has, as the kernel
// writes it.
func moduleName(path string) (string, bool) {
	base, suffix, ok := strings.Cut(filepath.Base(path), ".ko")
	ok = ok && (suffix == "" || decompressors[suffix] != nil)
	return strings.ReplaceAll(base, "-", "_"), ok
}

// order gives the modules with these names and all that they need, each after
// what it needs. What is built into the kernel is not among them. What is
// useful may be missing.
func (t *moduleTree) order(needed, useful []string) ([]module, error) {
	var all []module
	seen := map[string]bool{}
	var add func(name string) error
	add = func(name string) error {
		if seen[name] || t.builtin[name] {
			return nil
		}
		path, ok := t.files[name]
		if !ok {
			return fmt.Errorf("kernel module %s is neither in %s nor built in: %w", name, t.dir, fs.ErrNotExist)
		}
		seen[name] = true
		content, err := readModule(path)
		if err != nil {
			return err
		}
		hard, soft, err := moduleNeeds(content)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		for _, one := range soft {
			// It may be another name of modules of the kind, the generic one's too.
			for _, name := range []string{one, one + "_generic"} {
				if t.files[name] == "" {
					continue
				}
				if err := add(name); err != nil {
					return err
				}
			}
		}
		for _, one := range hard {
			if err := add(one); err != nil {
				return fmt.Errorf("%s needs: %w", name, err)
			}
		}
		all = append(all, module{name, content})
		return nil
	}
	for _, name := range needed {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	for _, name := range useful {
		if t.files[name] == "" {
			continue
		}
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// moduleNeeds reads from a module's .modinfo section which modules it needs,
// and which it would have loaded before it if they are there (softdep's "pre:").
func moduleNeeds(content []byte) (hard, soft []string, err error) {
	object, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, nil, err
	}
	section := object.Section(".modinfo")
	if section == nil {
		return nil, nil, errors.New("not a kernel module: no .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, nil, err
	}
	for entry := range strings.SplitSeq(string(info), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		switch key {
		case "depends":
			hard = append(hard, strings.FieldsFunc(value, func(r rune) bool { return r == ',' })...)
		case "softdep":
			pre := false
			for word := range strings.FieldsSeq(value) {
				switch {
				case strings.HasSuffix(word, ":"):
					pre = word == "pre:"
				case pre:
					soft = append(soft, word)
				}
			}
		}
	}
	for _, names := range [][]string{hard, soft} {
		for i := range names {
			names[i] = strings.ReplaceAll(names[i], "-", "_")
		}
	}
	return hard, slices.Compact(soft), nil
}

// decompressors are the commands for what modules are compressed with. They
// read the file and print what was in it.
var decompressors = map[string][]string{
	".xz":  {"xz", "-dc"},
	".gz":  {"gzip", "-dc"},
	".zst": {"zstd", "-dcq"},
}

func readModule(path string) ([]byte, error) {
	command, ok := decompressors[filepath.Ext(path)]
	if !ok {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read kernel module: %w", err)
		}
		return content, nil
	}
	content, err := exec.Command(command[0], append(command[1:], path)...).Output()
	if err != nil {
		return nil, fmt.Errorf("decompress kernel module %s: %w", path, err)
	}
	return content, nil
}

// sum writes to w, which makes a hash of it, which modules there are. They
// belong to a kernel whose content counts: of a module its size and age do.
func (t *moduleTree) sum(w io.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		info, err := os.Stat(t.files[name])
		if err != nil {
			return fmt.Errorf("read the kernel's modules: %w", err)
		}
		fmt.Fprintf(w, "%s %d %d\n", t.files[name], info.Size(), info.ModTime().UnixNano())
	}
	return nil
}
