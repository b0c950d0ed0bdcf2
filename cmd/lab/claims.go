package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/claims"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/scenarios"
	"github.com/seed-6fefc909/tcplab/topology"
)

func claimsCommand(s streams) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "claims [ID...]",
		Short: "Hold what UNP 5.12 to 5.16 say against this kernel, sentence by sentence; needs root, or --warp",
		Long: `Runs the scenarios that it takes, all at once and each only once, and judges by
what was seen whether what the book says is so on this kernel: confirmed,
differs, or inconclusive. IDs choose among: ` + strings.Join(claimIDs(), ", ") + `.

The table's last lines say why Linux differs where it does. --output json prints
the same as one object: schema, kernel, family, ok, and claims, each with id,
says, scenarios, status, known (it is as Linux is known to be), seen, why, and
the deciding event: scenario, t_ns as in the record, after_fault_ns, host,
source, kind, text.

Exit status: 0 if everything is confirmed, or differs as Linux is known to;
1 if anything is inconclusive, or comes out otherwise.`,
		ValidArgs: claimIDs(),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.virtual.look(c); err != nil {
				return err
			}
			return runClaims(c.Context(), s, f, args)
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.family, "family", 4, "`FAMILY` of IP: 4 or 6")
	flags.StringVar(&f.out, "out", "", "write each run's record.json into `DIR`/NAME")
	flags.StringVar(&f.output, "output", outputText, "print `FORM`: text, json")
	f.virtual.addSingle(c)
	f.virtual.machine.addKernel(c)
	return c
}

func claimIDs() []string {
	var ids []string
	for _, c := range claims.All() {
		ids = append(ids, c.ID)
	}
	return ids
}

// chooseClaims finds the claims of these ids, in the book's order; all for none.
func chooseClaims(ids []string) ([]claims.Claim, error) {
	for _, id := range ids {
		if !slices.Contains(claimIDs(), strings.ToUpper(id)) {
			return nil, usageError(fmt.Errorf("unknown claim %q", id), "there are "+strings.Join(claimIDs(), ", "))
		}
	}
	return slices.DeleteFunc(claims.All(), func(c claims.Claim) bool {
		return len(ids) > 0 && !slices.ContainsFunc(ids, func(id string) bool { return strings.EqualFold(id, c.ID) })
	}), nil
}

// runClaims is lab claims.
func runClaims(ctx context.Context, s streams, f runFlags, ids []string) error {
	chosen, err := chooseClaims(ids)
	if err != nil {
		return err
	}
	if f.output != outputText && f.output != outputJSON {
		return usageError(fmt.Errorf("output %q: there are text, json", f.output), "")
	}
	o := lab.Options{Family: topology.Family(f.family), Real: f.virtual.warp, Elsewhere: f.virtual.warp, Tracer: lab.NewTracer()}
	todo := scenariosOf(chosen)
	experiments, _, err := prepare(todo, o) // on their own paths
	if err != nil {
		return usageError(err, "see lab claims --help")
	}
	b := &batch{streams: s, flags: f, several: true, quiet: true}
	if f.virtual.warp {
		err = b.performVirtually(ctx, experiments, 0)
	} else {
		err = b.perform(ctx, experiments, o.Tracer, len(todo))
	}
	if err != nil {
		return err
	}
	evidence := claims.Evidence{Records: map[string]*record.Record{}, Default: defaults(todo, o)}
	for _, r := range b.records {
		evidence.Records[r.Scenario] = r
	}
	judged := claims.Judge(chosen, evidence)
	b.print(func(w io.Writer) error {
		if f.output == outputText {
			return claims.Text(w, judged)
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		return enc.Encode(judged)
	})
	if err := b.trouble(ctx); err != nil {
		return err
	}
	if !judged.OK {
		return &exitError{status: exitNotOK}
	}
	return nil
}

// scenariosOf are those that the claims are judged by, each once.
func scenariosOf(chosen []claims.Claim) []*scenarios.Source {
	var todo []*scenarios.Source
	for _, c := range chosen {
		for _, name := range c.Scenarios {
			if sc, _ := scenarios.Find(name); sc != nil && !slices.Contains(todo, sc) {
				todo = append(todo, sc)
			}
		}
	}
	return todo
}

// defaults predicts what the scenarios take with the kernel's own timers.
func defaults(todo []*scenarios.Source, o lab.Options) map[string]record.Prediction {
	o.Real = true
	predictions := map[string]record.Prediction{}
	experiments, _, _ := prepare(todo, o) // as before: what is wrong was said
	for _, e := range experiments {
		predictions[e.Scenario().Name] = e.Preview().Prediction
	}
	return predictions
}
