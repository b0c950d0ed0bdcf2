package page

import (
	"html/template"
	"slices"
	"strconv"
	"strings"
)

// A filter is a box to tick.
type filter struct{ ID, Name string }

// Filters hide the rows of which nothing is left that is wanted: a packet is of
// both hosts, and hidden when neither is.
type filters struct {
	what  string
	names []string
	sets  [][]string
}

func newFilters(what string) *filters { return &filters{what: what} }

// id names a filter's box: its name, if that can be an identifier, or its
// number.
func (f *filters) id(name string) string {
	plain := strings.IndexFunc(name, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') }) < 0
	if !plain {
		name = "n" + strconv.Itoa(slices.Index(f.names, name))
	}
	return "f-" + f.what + "-" + name
}

// class is that of rows that are of some hosts, or by some sources: "" of none.
func (f *filters) class(names []string) string {
	if len(names) == 0 {
		return ""
	}
	var ids []string
	for _, n := range names {
		f.names = add(f.names, n)
	}
	names = slices.Sorted(slices.Values(names))
	if !slices.ContainsFunc(f.sets, func(s []string) bool { return slices.Equal(s, names) }) {
		f.sets = append(f.sets, names)
	}
	for _, n := range names {
		ids = append(ids, strings.TrimPrefix(f.id(n), "f-"))
	}
	return strings.Join(ids, "-and-")
}

// style is what hides the rows of each class. A row that a link leads to is
// shown all the same.
func (f *filters) style() template.CSS {
	var b strings.Builder
	for _, set := range f.sets {
		b.WriteString("body")
		for _, n := range set {
			b.WriteString(":has(#" + f.id(n) + ":not(:checked))")
		}
		b.WriteString(" tr." + f.class(set) + ":not(:target,:has(:target)){display:none}\n")
	}
	return template.CSS("@media screen{" + b.String() + "}\n")
}

func (f *filters) list() []filter {
	var list []filter
	for _, n := range slices.Sorted(slices.Values(f.names)) {
		list = append(list, filter{f.id(n), plain(n)})
	}
	return list
}
