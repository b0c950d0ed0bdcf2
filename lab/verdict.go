package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/predict"
	"github.com/seed-6fefc909/tcplab/lab/record"
)

// judge decides the outcome. A run is as expected only if its fault had its
// signature, all that had to be seen was seen, and the kernel's rules said so
// too; whatever could not be known makes it inconclusive.
func judge(r *record.Record, v *view, dropped uint64, failure error) {
	var wrong, unsure []string
	broke := false // an expectation, and so the run with it
	if failure != nil {
		// What the run was cut off from cannot be held against it.
		for i := range r.Signature.Checks {
			if c := &r.Signature.Checks[i]; !c.OK && !c.Unknown {
				c.Unknown, c.Seen = true, "the run was cut short; until then: "+c.Seen
			}
		}
	}
	blind := map[string][]string{} // by what was missing: what is not known for want of it
	for _, x := range r.Expectations {
		switch {
		case x.Optional:
		case x.Unknown:
			blind[x.Actual] = append(blind[x.Actual], fmt.Sprintf("%q was met", x.What))
		case !x.OK:
			wrong = append(wrong, expected(&x, r.Fault.Time))
			broke = true
		}
	}
	for _, c := range r.Signature.Checks {
		switch {
		case c.Unknown:
			blind[c.Seen] = append(blind[c.Seen], c.Name)
		case !c.OK:
			wrong = append(wrong, "signature: "+c.Name+": "+c.Seen)
		}
	}
	for _, why := range slices.Sorted(maps.Keys(blind)) {
		unsure = append(unsure, "it is not known whether "+strings.Join(blind[why], ", or whether ")+": "+why)
	}
	switch {
	case errors.Is(failure, context.Canceled):
		unsure = append(unsure, "interrupted")
	case failure != nil:
		unsure = append(unsure, failure.Error())
	}
	if r.Fault.Kind == "" {
		if !r.ByHand { // who does it may have had none in mind
			unsure = append(unsure, "the fault never came")
		}
	} else if failure == nil && !broke || r.Detection.Error != "" {
		w, u := comparePrediction(r, v)
		if r.Demand == nil {
			wrong, unsure = append(wrong, w...), append(unsure, u...)
		} else if r.Prediction.Held != nil && !*r.Prediction.Held {
			// What the user's own client does is its business: it may have
			// timers of its own, or have had nothing to send.
			r.Prediction.Held = nil
		}
	}
	if dropped > 0 {
		unsure = append(unsure, fmt.Sprintf("the observers lost %d events", dropped))
	}
	switch {
	case failure != nil:
		r.Outcome, r.Reasons = record.Inconclusive, append(unsure, wrong...)
	case len(wrong) > 0:
		r.Outcome, r.Reasons = record.NotAsExpected, append(wrong, unsure...)
	case len(unsure) > 0:
		r.Outcome, r.Reasons = record.Inconclusive, unsure
	default:
		r.Outcome, r.Reasons = record.AsExpected, []string{}
	}
}

// expected says what an expectation that was not met wanted, and what came and
// when, counted from the fault.
func expected(x *record.Expectation, zero int64) string {
	window := "within " + time.Duration(x.Within).Round(time.Millisecond).String()
	switch {
	case strings.HasPrefix(x.What, "!"):
		window = "for " + time.Duration(x.Within).Round(time.Millisecond).String()
	case x.After > 0:
		window = fmt.Sprintf("between %v and %v", time.Duration(x.After), time.Duration(x.Within))
	}
	s := fmt.Sprintf("%s: %s (%s): %s", x.Place, x.What, window, x.Actual)
	if x.Time != 0 {
		s += fmt.Sprintf(", at %.6f s", seconds(x.Time-zero))
	}
	return s
}

// comparePrediction holds the detection against what was predicted.
func comparePrediction(r *record.Record, v *view) (wrong, unsure []string) {
	p, d := &r.Prediction, r.Detection
	if p.Model == "" {
		return nil, nil
	}
	if why := v.lacks(ObserveEBPF, ObserveEBPF+":sys_enter", ObserveEBPF+":sys_exit"); why != "" {
		return nil, []string{"which system call told the client is not known: " + why}
	}
	held := false
	p.Held = &held
	took, since := span(p.From, &d)
	if p.Error == "" { // nothing is to tell it
		if d.Error != "" {
			return append(wrong, fmt.Sprintf("the client was told %s, predicted was that nothing tells it", d.Error)), nil
		}
		if looked := r.Duration - r.Fault.Time; looked < int64(leastNever) {
			return nil, []string{fmt.Sprintf("nothing told the client, but the run went on for only %s after the fault", record.Span(looked))}
		}
		held = true
		return nil, nil
	}
	allowed := predict.Window{Error: p.Error, Errors: append([]string{p.Error}, p.Errors...), Min: time.Duration(p.Min), Max: time.Duration(p.Max)}
	switch {
	case d.Error == "":
		wrong = append(wrong, "the client was told nothing while the run lasted")
	case !allowed.AllowsError(d.Error):
		wrong = append(wrong, fmt.Sprintf("the client was told %s, predicted was %s", d.Error, p.Error))
	case took < 0:
		wrong = append(wrong, "the client was told, but not after "+since)
	case !allowed.Allows(time.Duration(took)) && allowed.Allows(time.Duration(took-v.heldUp())):
		unsure = append(unsure, fmt.Sprintf("the call returned only %.3f s after the kernel had set its error: the machine was too busy to run the client", seconds(v.heldUp())))
	case !allowed.Allows(time.Duration(took)):
		wrong = append(wrong, fmt.Sprintf("the client was told %.3f s after %s, predicted were %.3f to %.3f s (and %.2f s of tolerance)",
			seconds(took), since, seconds(p.Min), seconds(p.Max), seconds(p.Tolerance)))
	default:
		held = true
	}
	if !held && r.Delay.Loss > 0 {
		// The prediction knows nothing of what the link itself lost.
		wrong, unsure = nil, append(unsure, append(wrong, "but the link lost segments, which no prediction knows of")...)
	}
	return wrong, unsure
}

// leastNever is how long nothing must have told the client before that is
// taken for evidence that nothing does.
const leastNever = time.Second

// span is how long a detection took, counted as the prediction counts, and
// what that counts from; negative if there was no such thing.
func span(from string, d *record.Detection) (took int64, since string) {
	switch from {
	case fromWrite:
		return d.AfterWrite, "the write"
	case fromCall:
		return d.Blocked, "the call began"
	case fromHeard:
		return d.AfterHeard, "the last segment received before the fault"
	}
	return d.AfterFault, "the fault"
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }

// inconclusive takes a good verdict back.
func inconclusive(r *record.Record, why string) {
	r.Reasons = append(r.Reasons, why)
	if r.Outcome == record.AsExpected {
		r.Outcome = record.Inconclusive
	}
}
