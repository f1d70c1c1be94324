package plot

import (
	"math"
	"strconv"
	"strings"
)

// Number formats a value with three significant digits: 0.25, 1,250, 12.5M.
func Number(value float64) string {
	switch abs := math.Abs(value); {
	case abs >= 1e9:
		return significant(value/1e9) + "G"
	case abs >= 1e6:
		return significant(value/1e6) + "M"
	case abs >= 1e4:
		return significant(value/1e3) + "k"
	case abs >= 1e3:
		text := strconv.FormatFloat(value, 'f', 0, 64)
		return text[:len(text)-3] + "," + text[len(text)-3:]
	default:
		return significant(value)
	}
}

// Percent formats a part of 1 as a percentage.
func Percent(value float64) string { return significant(100*value) + " %" }

// Nanoseconds formats a number of nanoseconds as a duration: 25 ns, 1.5 µs, 20 ms.
func Nanoseconds(value float64) string {
	switch abs := math.Abs(value); {
	case value == 0:
		return "0"
	case abs < 999.5:
		return significant(value) + " ns"
	case abs < 999.5e3:
		return significant(value/1e3) + " µs"
	case abs < 999.5e6:
		return significant(value/1e6) + " ms"
	default:
		return significant(value/1e9) + " s"
	}
}

// significant formats a value with three significant digits, without exponent and
// without zeros at the end.
func significant(value float64) string {
	if value == 0 {
		return "0"
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(value)))))
	text := strconv.FormatFloat(value, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
