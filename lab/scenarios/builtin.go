package scenarios

import (
	"embed"
	"fmt"
	"sort"
	"strings"
	"sync"
)

//go:embed *.lab
var files embed.FS

// All lists the built-in scenarios, in the order of their chapters.
var All = sync.OnceValue(func() []*Source {
	var list []*Source
	for _, c := range Chapters() {
		for _, name := range c.Names {
			file := name + Extension
			text, err := files.ReadFile(file)
			if err != nil {
				panic(fmt.Sprintf("built-in scenario: %v", err)) // embedded: a test reads all
			}
			s, err := read(file, string(text))
			if err != nil {
				panic(fmt.Sprintf("built-in scenario: %v", err))
			}
			s.builtin = true
			list = append(list, s)
		}
	}
	return list
})

// Find returns the scenario of a name; if there is none, nil and the known
// name nearest to it, if any is near.
func Find(name string) (found *Source, nearest string) {
	var all []Word
	for _, s := range All() {
		if s.Name == name {
			return s, ""
		}
		all = append(all, Word{Name: s.Name})
	}
	if nearest = nearestOf(name, all); nearest == "" {
		for _, s := range All() {
			if len(name) > 2 && strings.Contains(s.Name, name) {
				return nil, s.Name
			}
		}
	}
	return nil, nearest
}

// nearestOf is the word nearest to a name, "" if none is like it.
func nearestOf(name string, all []Word) (nearest string) {
	best := 1 + len(name)/2 // further apart than that is no likeness
	for _, w := range all {
		if d := distance(name, w.Name); d < best {
			best, nearest = d, w.Name
		}
	}
	return nearest
}

// Names lists the names, sorted.
func Names() []string {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
	}
	sort.Strings(names)
	return names
}

// distance is the number of characters to insert, delete or replace
// (Levenshtein's), or to exchange with the next one.
func distance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev2, prev, row = prev, row, prev2
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
