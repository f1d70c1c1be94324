package redisprovider

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	"github.com/readthrough/readthrough/provider"
)

// Encode implements [provider.Encoder]. A value of which something will be lost, and
// nobody was told yet, stays as it is: Fill tells it.
func (p *Provider) Encode(entry provider.Entry) (provider.Entry, error) {
	if entry.Absent {
		return entry, nil
	}
	encoded, loss, err := p.encodeValue(entry.Value)
	if err != nil || loss != nil {
		return entry, err
	}
	entry.Value = encoded
	return entry, nil
}

// encode returns the frame of entry for a script. The error matches
// [provider.ErrUnencodable], [provider.ErrLossy] or [provider.ErrTooLarge]. If what is
// lost is allowed to be, it is loss.
func (p *Provider) encode(entry provider.Entry) (data []byte, loss *provider.LossError, err error) {
	f := headOf(entry)
	if !entry.Absent {
		var encoded provider.Encoded
		if encoded, loss, err = p.encodeValue(entry.Value); err != nil {
			return nil, nil, err
		}
		f.kind, f.codec, f.typeName, f.payload = kindValue, p.codecName, encoded.Type, encoded.Data
	}
	data, err = p.frameOf(f)
	return data, loss, err
}

// encodeValue encodes a value, and compares it with what will come back.
func (p *Provider) encodeValue(value any) (encoded provider.Encoded, loss *provider.LossError, err error) {
	if p.allowLossy && p.lossy.isTold(value) {
		encoded, err = provider.Encode(p.codec, value)
		return encoded, nil, err
	}
	encoded, err = p.checker.Encode(value)
	switch {
	case !errors.As(err, &loss):
		return encoded, nil, err
	case p.allowLossy && !loss.Unreadable:
		return encoded, loss, nil
	default:
		return encoded, nil, fmt.Errorf("%w: store a type without it, or set redisprovider.Options.Codec or Options.AllowLossy", loss)
	}
}

// encodeHead returns the frame that extends an entry. The script expects it as the
// frame of an absence.
func (p *Provider) encodeHead(entry provider.Entry) (data []byte, loss *provider.LossError, err error) {
	data, err = p.frameOf(headOf(entry))
	return data, nil, err
}

// lossy are the types that lose something, of which values were stored and callers
// told. Their values are no longer compared. It is empty unless Options.AllowLossy is
// set. The zero value is ready.
type lossy struct{ types sync.Map } // of reflect.Type

func (l *lossy) isTold(value any) bool {
	_, told := l.types.Load(reflect.TypeOf(value))
	return told
}

func (l *lossy) tell(value any) { l.types.Store(reflect.TypeOf(value), nil) }

// headOf returns the frame of an absence with the fields of entry other than its
// value.
func headOf(entry provider.Entry) frame {
	return frame{
		kind: kindAbsent, freshUntil: entry.FreshUntil, loadedAt: entry.LoadedAt, loadTime: entry.LoadTime,
		validator: entry.Validator,
	}
}

// frameOf returns the bytes of f. The error matches [provider.ErrTooLarge].
func (p *Provider) frameOf(f frame) ([]byte, error) {
	if n := len(f.payload) + len(f.validator); n > p.maxValueBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are stored", provider.ErrTooLarge, n, p.maxValueBytes)
	}
	return p.bound(encodeFrame(f)), nil
}

// bound marks a frame for the scripts of a store with a fence.
func (p *Provider) bound(data []byte) []byte {
	if p.fence {
		return bind(data)
	}
	return data
}

// decodeAnswer decodes the answer of a server without copying it. Nothing else
// refers to the answer.
func (p *Provider) decodeAnswer(data string) (entry provider.Entry, found bool, err error) {
	return p.decode(unsafe.Slice(unsafe.StringData(data), len(data)))
}

// decode returns the entry in data, and whether there is one; a lease is not an
// entry. The entry keeps data. The error matches [provider.ErrUndecodable].
func (p *Provider) decode(data []byte) (entry provider.Entry, found bool, err error) {
	f, err := decodeFrame(data)
	if err != nil {
		return provider.Entry{}, false, fmt.Errorf("%w: %w", provider.ErrUndecodable, err)
	}
	entry = provider.Entry{FreshUntil: f.freshUntil, LoadedAt: f.loadedAt, LoadTime: f.loadTime, Validator: f.validator}
	switch {
	case f.kind == kindLease:
		return provider.Entry{}, false, nil
	case f.kind == kindAbsent:
		entry.Absent = true
		return entry, true, nil
	case f.codec != p.codecName:
		return provider.Entry{}, false, fmt.Errorf("%w: encoded by codec %q, not by %q", provider.ErrUndecodable, f.codec, p.codecName)
	}
	entry.Value = provider.Encoded{Data: f.payload, Type: f.typeName, Codec: p.codec}
	return entry, true, nil
}
