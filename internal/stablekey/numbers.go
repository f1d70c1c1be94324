package stablekey

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// The form of a number is that of ECMAScript: without exponent from 0.000001 to
// 21 digits before the point, with exponent otherwise.
const (
	plainDigits = 21
	plainZeros  = 6
)

// appendFloat appends f, a float of that many bits.
func appendFloat(dst []byte, f float64, bits int) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, fail("%v has no stable encoding", f)
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, bits), nil
	}
	return appendNumber(dst, strconv.FormatFloat(f, 'e', -1, bits))
}

// appendNumber appends the canonical form of text, a valid JSON number. Two
// texts have the same form only if they have the same value.
func appendNumber(dst []byte, text string) ([]byte, error) {
	unsigned, negative := strings.CutPrefix(text, "-")
	mantissa, exponent := unsigned, int64(0)
	if i := strings.IndexAny(unsigned, "eE"); i >= 0 {
		var err error
		// The bound of 48 bits keeps the sums below from overflowing.
		if exponent, err = strconv.ParseInt(unsigned[i+1:], 10, 48); err != nil {
			return dst, fail("the exponent of the number %s is too large", quote(text))
		}
		mantissa = unsigned[:i]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	digits := strings.TrimLeft(all, "0")
	// The value is 0.digits * 10^point.
	point := int64(len(whole)-(len(all)-len(digits))) + exponent
	digits = strings.TrimRight(digits, "0")
	if digits == "" {
		return append(dst, '0'), nil // also for -0, because -0 == 0
	}
	if negative {
		dst = append(dst, '-')
	}
	return appendDecimal(dst, digits, point), nil
}

// appendDecimal appends 0.digits * 10^point. digits neither begins nor ends with
// a zero.
func appendDecimal(dst []byte, digits string, point int64) []byte {
	count := int64(len(digits))
	switch {
	case count <= point && point <= plainDigits:
		dst = append(dst, digits...)
		return appendZeros(dst, point-count)
	case 0 < point && point <= plainDigits:
		dst = append(dst, digits[:point]...)
		dst = append(dst, '.')
		return append(dst, digits[point:]...)
	case -plainZeros < point && point <= 0:
		dst = append(dst, '0', '.')
		dst = appendZeros(dst, -point)
		return append(dst, digits...)
	}
	dst = append(dst, digits[0])
	if count > 1 {
		dst = append(dst, '.')
		dst = append(dst, digits[1:]...)
	}
	dst = append(dst, 'e')
	if point > 0 {
		dst = append(dst, '+')
	}
	return strconv.AppendInt(dst, point-1, 10)
}

// appendZeros appends count zeros, at most plainDigits.
func appendZeros(dst []byte, count int64) []byte {
	return append(dst, "000000000000000000000"[:count]...)
}

// isNumber reports whether text is exactly a JSON number.
func isNumber(text string) bool {
	if text == "" || !isDigit(text[len(text)-1]) || text[0] != '-' && !isDigit(text[0]) {
		return false
	}
	return json.Valid([]byte(text))
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
