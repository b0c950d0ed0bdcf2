package page

import (
	"math"
	"strconv"
	"time"
)

// An axis maps values to a range of lengths.
type axis struct {
	low, high float64 // values
	from, to  float64 // lengths
}

func (a axis) at(v float64) float64 {
	if a.high == a.low {
		return a.from
	}
	return a.from + (v-a.low)/(a.high-a.low)*(a.to-a.from)
}

// ticks are at most about n round values within the axis: multiples of 1, 2 or
// 5 times a power of ten.
func (a axis) ticks(n int) []float64 {
	rough := (a.high - a.low) / float64(max(n, 1))
	if rough <= 0 || math.IsInf(rough, 0) || math.IsNaN(rough) {
		return nil
	}
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, m := range []float64{1, 2, 5} {
		if m*power >= rough {
			step = m * power
			break
		}
	}
	var ticks []float64
	for k := math.Ceil(a.low / step); k*step <= a.high+step/1e6; k++ {
		ticks = append(ticks, k*step)
	}
	return ticks
}

// spell writes a tick's value without the noise of floating point.
func spell(v float64) string {
	if math.Abs(v) < 1e-12 {
		return "0"
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

func inSeconds(ns int64) float64 { return time.Duration(ns).Seconds() }
