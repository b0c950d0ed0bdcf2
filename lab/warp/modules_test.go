package warp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// moduleOf makes an ELF object with nothing but a .modinfo.
func moduleOf(info ...string) string {
	const header, section = 64, 64
	names := "\x00.modinfo\x00.shstrtab\x00"
	data := strings.Join(info, "\x00") + "\x00"
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, v)
		}
	}
	put(uint16(1), uint16(62), uint32(1), uint64(0), uint64(0), uint64(header), uint32(0), uint16(header), uint16(0), uint16(0), uint16(section), uint16(3), uint16(2))
	at := uint64(header + 3*section)
	b.Write(make([]byte, section))
	put(uint32(1), uint32(1), uint64(0), uint64(0), at, uint64(len(data)), uint32(0), uint32(0), uint64(1), uint64(0))
	put(uint32(10), uint32(3), uint64(0), uint64(0), at+uint64(len(data)), uint64(len(names)), uint32(0), uint32(0), uint64(1), uint64(0))
	b.WriteString(data + names)
	return b.String()
}

func TestModulesComeAfterWhatTheyNeed(t *testing.T) {
	dir := t.TempDir()
	for path, content := range map[string]string{
		"modules.builtin":                       "kernel/net/built-in.ko\n",
		"kernel/net/top.ko":                     moduleOf("license=GPL", "depends=mid,built-in", "softdep=pre: crc post: after"),
		"kernel/net/mid.ko":                     moduleOf("depends=low-er"),
		"kernel/net/low-er.ko":                  moduleOf("depends="),
		"kernel/crypto/crc_generic.ko":          moduleOf(),
		"kernel/net/after.ko":                   moduleOf(),
		"kernel/net/lacks.ko":                   moduleOf("depends=gone"),
		"kernel/net/not-a-module.ko":            "text",
		"kernel/net/something.kong":             "",
		"kernel/net/extra.ko":                   moduleOf("softdep=pre: nowhere"),
		"kernel/net/unused/self.ko.unsupported": "",
	} {
		write(t, dir+"/"+path, []byte(content), 0o755)
	}
	tree, err := openModules(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := tree.order([]string{"top", "built_in"}, []string{"extra", "mid", "not_there"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range all {
		names = append(names, one.name)
	}
	if diff := cmp.Diff([]string{"crc_generic", "low_er", "mid", "top", "extra"}, names); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	_, err = tree.order([]string{"lacks"}, nil)
	if want := "lacks needs: kernel module gone is neither in "; !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("a module that is missing: %v, want %q", err, want)
	}
	if _, err := tree.order([]string{"not_a_module"}, nil); err == nil {
		t.Error("text was taken for a module")
	}
	if _, err := openModules(dir + "/kernel"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory without modules.builtin: %v", err)
	}
}

func TestModulesAreDecompressed(t *testing.T) {
	for suffix, command := range map[string][]string{".xz": {"xz"}, ".gz": {"gzip"}, ".zst": {"zstd", "--rm", "-q"}} {
		t.Run(suffix, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skipf("%s is not installed", command[0])
			}
			path := t.TempDir() + "/one.ko"
			want := moduleOf("depends=two")
			write(t, path, []byte(want), 0o755)
			if out, err := exec.Command(command[0], append(command[1:], path)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got, err := readModule(path + suffix)
			if err != nil || string(got) != want {
				t.Errorf("%d octets, %v", len(got), err)
			}
			write(t, path+suffix, []byte("not compressed"), 0o755)
			if _, err := readModule(path + suffix); err == nil {
				t.Error("what is not compressed was decompressed")
			}
		})
	}
}
