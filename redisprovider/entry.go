package redisprovider

import (
	"fmt"

	"github.com/readthrough/readthrough/provider"
)

// encode returns the frame of entry. The error matches
// [provider.ErrUnencodable] or [provider.ErrTooLarge].
func (p *Provider) encode(entry provider.Entry) ([]byte, error) {
	f := frame{kind: kindAbsent, freshUntil: entry.FreshUntil, loadTime: entry.LoadTime}
	if !entry.Absent {
		encoded, err := provider.Encode(p.codec, entry.Value)
		if err != nil {
			return nil, err
		}
		if len(encoded.Data) > p.maxValueBytes {
			return nil, fmt.Errorf("%w: %d bytes, at most %d are stored", provider.ErrTooLarge, len(encoded.Data), p.maxValueBytes)
		}
		f.kind, f.codec, f.typeName, f.payload = kindValue, p.codecName, encoded.Type, encoded.Data
	}
	return encodeFrame(f), nil
}

// decode returns the entry in data, which it keeps. The error matches
// [provider.ErrUndecodable].
func (p *Provider) decode(data []byte) (provider.Entry, error) {
	f, err := decodeFrame(data)
	if err != nil {
		return provider.Entry{}, fmt.Errorf("%w: %w", provider.ErrUndecodable, err)
	}
	entry := provider.Entry{FreshUntil: f.freshUntil, LoadTime: f.loadTime}
	if f.kind == kindAbsent {
		entry.Absent = true
		return entry, nil
	}
	if f.codec != p.codecName {
		return provider.Entry{}, fmt.Errorf("%w: encoded by codec %q, not by %q", provider.ErrUndecodable, f.codec, p.codecName)
	}
	entry.Value = provider.Encoded{Data: f.payload, Type: f.typeName, Codec: p.codec}
	return entry, nil
}
