package plot

import (
	"fmt"
	"math"
)

// scale places the values of an axis on a line of pixels.
type scale struct {
	log      bool
	lo, hi   float64 // the values at the ends
	from, to float64 // the pixels there
	ticks    []float64
	format   func(float64) string
}

// newScale returns the scale of an axis for values, of which NaN is none, that lies
// on the pixels from from to to. name is the axis' in errors.
func newScale(name string, a Axis, values []float64, from, to float64) (scale, error) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, value := range values {
		switch {
		case math.IsNaN(value):
		case math.IsInf(value, 0):
			return scale{}, fmt.Errorf("plot: %s: %v: must be finite", name, value)
		case a.Log && value <= 0 && a.Min <= 0:
			return scale{}, fmt.Errorf("plot: %s: %v: must be positive on a logarithmic axis without Min", name, value)
		default:
			lo, hi = min(lo, value), max(hi, value)
		}
	}
	if lo > hi {
		return scale{}, fmt.Errorf("plot: %s: there are no values", name)
	}
	s := scale{log: a.Log, from: from, to: to, format: a.Format}
	if s.format == nil {
		s.format = Number
	}
	if a.Log {
		s.spanDecades(a, lo, hi)
	} else {
		s.spanSteps(a, lo, hi)
	}
	return s, nil
}

// spanSteps makes the scale linear, with five to nine ticks at round values, of which
// zero is one.
func (s *scale) spanSteps(a Axis, lo, hi float64) {
	lo, hi = min(lo, a.Min, 0), max(hi, a.Max, 0)
	if lo == hi {
		hi = 1
	}
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/4)))
	for _, factor := range []float64{5, 2} {
		if (hi-lo)/(factor*step) >= 4 {
			step *= factor
			break
		}
	}
	first, last := math.Floor(lo/step+1e-9), math.Ceil(hi/step-1e-9)
	s.lo, s.hi = first*step, last*step
	for n := first; n <= last; n++ {
		s.ticks = append(s.ticks, n*step)
	}
}

// spanDecades makes the scale logarithmic, with ticks at powers of ten, and between
// them if there are few.
func (s *scale) spanDecades(a Axis, lo, hi float64) {
	if a.Min > 0 {
		lo = a.Min
	}
	hi = max(hi, a.Max, lo)
	factors := []float64{1}
	switch decades := math.Log10(hi / lo); {
	case decades <= 2:
		factors = []float64{1, 2, 5}
	case decades <= 4:
		factors = []float64{1, 3}
	}
	s.lo, s.hi = roundDown(lo, factors), 0
	for power := math.Floor(math.Log10(s.lo)); s.hi < hi || len(s.ticks) < 2; power++ {
		for _, factor := range factors {
			tick := factor * math.Pow(10, power)
			if tick >= s.lo*(1-1e-9) && (s.hi < hi || len(s.ticks) < 2) {
				s.ticks, s.hi = append(s.ticks, tick), tick*(1+1e-9)
			}
		}
	}
	s.hi = s.ticks[len(s.ticks)-1]
}

// roundDown returns the largest product of a power of ten and one of factors, which
// rise from 1, that is not above value.
func roundDown(value float64, factors []float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(value)+1e-9))
	down := power
	for _, factor := range factors {
		if factor*power <= value*(1+1e-9) {
			down = factor * power
		}
	}
	return down
}

// at returns the pixel of value. On a logarithmic scale what lies below it is at its
// end.
func (s *scale) at(value float64) float64 {
	part := (value - s.lo) / (s.hi - s.lo)
	if s.log {
		part = math.Log(max(value, s.lo)/s.lo) / math.Log(s.hi/s.lo)
	}
	return s.from + part*(s.to-s.from)
}
