package warp

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
)

func TestResultTakesTheFilesAlong(t *testing.T) {
	from, to, other, otherTo := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	write(t, other+"/d", []byte("other"), 0o600)
	write(t, from+"/a/b", []byte("content"), 0o755)
	write(t, from+"/c", []byte("new"), 0o755)
	write(t, to+"/c", []byte("old and longer"), 0o755)
	if err := os.Symlink("a/b", from+"/link"); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	want := outcome{Status: 7, Virtual: 12}
	if err := writeResult(&b, []string{from, other}, want); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	got, err := readResult(bytes.NewReader(whole), []string{to, otherTo})
	if got != want || err != nil {
		t.Errorf("outcome %+v, %v, want %+v", got, err, want)
	}
	for name, want := range map[string]string{"a/b": "content", "c": "new", "link": "content"} {
		if content, err := os.ReadFile(to + "/" + name); string(content) != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, content, err, want)
		}
	}
	if content, err := os.ReadFile(otherTo + "/d"); string(content) != "other" || err != nil {
		t.Errorf("of the second directory: %q, %v", content, err)
	}
	for _, n := range []int{0, 100, 512, 700, len(whole) - 1600} {
		if _, err := readResult(bytes.NewReader(whole[:n]), []string{t.TempDir(), t.TempDir()}); !errors.Is(err, io.EOF) {
			t.Errorf("the first %d octets: %v, want EOF", n, err)
		}
	}
}

// Whatever a machine's root writes to its port, nothing may be changed but in
// the directory.
func TestResultStaysInItsDirectory(t *testing.T) {
	for name, members := range map[string][]tar.Header{
		"up":                {{Name: "out/0/../evil", Typeflag: tar.TypeReg}},
		"absolute":          {{Name: "out/0//evil", Typeflag: tar.TypeReg}, {Name: "/evil", Typeflag: tar.TypeReg}},
		"elsewhere":         {{Name: "evil", Typeflag: tar.TypeReg}},
		"no directory":      {{Name: "out/1/evil", Typeflag: tar.TypeReg}},
		"beside":            {{Name: "out/../evil", Typeflag: tar.TypeReg}},
		"through a link":    {{Name: "out/0/link", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "out/0/link/evil", Typeflag: tar.TypeReg}},
		"through an abs.":   {{Name: "out/0/link", Typeflag: tar.TypeSymlink, Linkname: "OUTSIDE"}, {Name: "out/0/link/evil", Typeflag: tar.TypeReg}},
		"over a link":       {{Name: "out/0/link", Typeflag: tar.TypeSymlink, Linkname: "../evil"}, {Name: "out/0/link", Typeflag: tar.TypeReg}},
		"directory outside": {{Name: "out/0/../evil", Typeflag: tar.TypeDir}},
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			dir := outside + "/dir"
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			for _, h := range members {
				h.Linkname = strings.Replace(h.Linkname, "OUTSIDE", outside, 1)
				h.Mode = 0o755
				if err := w.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
			}
			w.Close()
			if _, err := readResult(&b, []string{dir}); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("it was taken over: %v", err)
			}
			if _, err := os.Lstat(outside + "/evil"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is outside: %v", err)
			}
		})
	}
	var b bytes.Buffer
	if err := writeResult(&b, []string{t.TempDir()}, outcome{}); err != nil {
		t.Fatal(err)
	}
	if _, err := readResult(strings.NewReader("garbage"+strings.Repeat("x", 600)), nil); !errors.Is(err, io.EOF) {
		t.Errorf("garbage: %v", err)
	}
}
