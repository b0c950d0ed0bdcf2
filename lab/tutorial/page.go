package tutorial

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

const pageHead = `# The tutorial

What ` + "`sudo lab tutorial`" + ` leads through, as a page. Open four terminals: the first is the server's, the second the
client's, the third is for the faults and for looking; in the fourth the tutorial itself says what to do, waits until it
has happened, and tells what it measured. It takes about a quarter of an hour. The figures here are examples: yours
differ. Where you are to look at something it goes on when you press Enter ("Enter, when you have seen it"); elsewhere
Enter says again what is waited for. ` + "`s`" + ` and Enter skips a step, ` + "`q`" + ` and Enter ends the tutorial; ` + "`--case B`" + ` is
one case alone.
`

// pageWidth is how long its lines may be.
const pageWidth = 119

// Page is all of it for a reader without a lab, in Markdown.
func Page(parts []Part) (string, error) {
	var b strings.Builder
	b.WriteString(pageHead)
	sysctls, err := asked(parts)
	if err != nil {
		return "", err
	}
	for _, p := range parts {
		title := p.Title
		if p.ID != "" {
			title = p.ID + ". " + title
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n", title, p.Source)
		write(&b, p.Intro, sysctls)
		for _, s := range p.Steps {
			if s.Title != "" {
				fmt.Fprintf(&b, "\n### %s\n", s.Title)
			}
			write(&b, s.Before, sysctls)
			for _, t := range s.Tasks {
				b.WriteString("\n" + t.markdown())
			}
			write(&b, s.After, sysctls)
		}
	}
	return b.String(), nil
}

// write adds paragraphs, with figures for an example.
func write(b *strings.Builder, all []string, sysctls map[string]string) {
	for _, text := range all {
		if command, ok := strings.CutPrefix(text, commandMark); ok {
			fmt.Fprintf(b, "\n    %s\n", command)
			continue
		}
		lines := report.Wrap(strings.Join(strings.Fields(exemplary(text, sysctls)), " "), pageWidth)
		fmt.Fprintf(b, "\n%s\n", strings.Join(lines, "\n"))
	}
}

// markdown is what is to be done, for a page.
func (t Task) markdown() string {
	switch {
	case t.Command != "":
		return fmt.Sprintf("Terminal %d:\n\n```console\n$ %s\n```\n", t.Terminal, t.Command)
	case t.Line != "":
		return fmt.Sprintf("Terminal %d, to the program there: `%s`\n", t.Terminal, t.Line)
	}
	return fmt.Sprintf("Terminal %d: %s\n", t.Terminal, t.Key)
}

// asked are the client's sysctls of the lab that the first step makes.
func asked(parts []Part) (map[string]string, error) {
	all := map[string]map[string]string{}
	words := strings.Fields(parts[0].Steps[0].Tasks[0].Command)
	for i, word := range words {
		if word == "--sysctl" && i+1 < len(words) {
			if err := lab.ParseSysctl(words[i+1], all); err != nil {
				return nil, err
			}
		}
	}
	return all[client], nil
}

// Commands are those that a reader is to type, each once.
func Commands(parts []Part) (all []string) {
	for _, p := range parts {
		for _, s := range p.Steps {
			for _, t := range s.Tasks {
				if t.Command != "" && !slices.Contains(all, t.Command) {
					all = append(all, t.Command)
				}
			}
		}
	}
	return all
}
