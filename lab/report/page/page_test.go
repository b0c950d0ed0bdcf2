package page_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report/page"
)

// fixtures are real records.
func fixtures(t *testing.T) map[string]*record.Record {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "*.json"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d records: %v", len(files), err)
	}
	all := map[string]*record.Record{}
	for _, f := range files {
		r, err := record.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".json")] = r
	}
	return all
}

func write(t *testing.T, r *record.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := page.Write(&b, r, page.Options{}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// elements are those of a page, in their order.
func elements(t *testing.T, text []byte) []*html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// A usual page is small, needs nothing from elsewhere, has no script, and all
// its links lead somewhere.
func TestPages(t *testing.T) {
	for name, r := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			text := write(t, r)
			if len(text) > 300_000 {
				t.Errorf("%d octets, more than 300 kB", len(text))
			}
			if !page.Is(text) {
				t.Error("it is not known for a page")
			}
			ids := map[string]bool{}
			all := elements(t, text)
			for _, n := range all {
				id := attribute(n, "id")
				if id != "" && ids[id] {
					t.Errorf("two elements have the id %s", id)
				}
				ids[id] = true
			}
			for _, n := range all {
				switch n.Data {
				case "script", "link", "img", "iframe", "object":
					t.Errorf("it has an element %s", n.Data)
				}
				for _, a := range n.Attr {
					switch {
					case strings.HasPrefix(a.Key, "on"), a.Key == "src", a.Key == "style":
						t.Errorf("<%s> has an attribute %s", n.Data, a.Key)
					case a.Key == "href" && strings.HasPrefix(a.Val, "#") && !ids[a.Val[1:]]:
						t.Errorf("a link leads to %s, which is not there", a.Val)
					case a.Key == "href" && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "data:application/gzip;base64,"):
						t.Errorf("a link leads elsewhere: %.60s", a.Val)
					}
				}
			}
			back, err := page.Read(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, back); diff != "" {
				t.Errorf("the record that the page carries is another (-made from +carried):\n%s", diff)
			}
		})
	}
}
