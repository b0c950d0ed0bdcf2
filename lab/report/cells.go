package report

import "github.com/seed-6fefc909/tcplab/lab/record"

// The cells of a table of several runs.

// Saw says what told the client, or what else there is to say of the run's end.
func Saw(r *record.Record) string {
	if d := r.Detection; d.Error != "" && r.Demand == nil && r.Prediction.Model != "" {
		return told(&d)
	}
	return Answer(r)
}

// Measured says how long it took until the client was told, counted as the
// prediction is; "" where nothing told it, or that is not what the run is about.
func Measured(r *record.Record) string {
	if r.Detection.Error == "" || r.Prediction.Model == "" {
		return ""
	}
	return after(&r.Detection, r.Prediction.From)
}

// Expected says a prediction in the fewest words; "" where there is none.
func Expected(r *record.Record) string {
	if r.Prediction.Model == "" {
		return ""
	}
	return expected(&r.Prediction)
}

// Gone names the faults of a run, in their order, and whom they befell.
func Gone(r *record.Record) string { return faults(r) }
