package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A Command is a request of a client.
type Command struct {
	// Args are the name of the command and its arguments.
	Args []string
	// Raw has the bytes of the request.
	Raw []byte
}

// Name returns the name of the command in upper case, empty if there is none.
func (c Command) Name() string {
	if len(c.Args) == 0 {
		return ""
	}
	return strings.ToUpper(c.Args[0])
}

// Limits on what is read, so that invalid data does not allocate gigabytes.
const (
	maxArgs = 1 << 20
	maxBulk = 512 << 20
)

var errProtocol = errors.New("redistest: not the Redis protocol")

// ReadCommand reads a request of the Redis protocol: an array of bulk strings or
// an inline command. Other bytes are an error.
func ReadCommand(r *bufio.Reader) (Command, error) {
	var raw bytes.Buffer
	line, err := readLine(r, &raw)
	if err != nil {
		return Command{}, err
	}
	if !strings.HasPrefix(line, "*") {
		return Command{Args: strings.Fields(line), Raw: raw.Bytes()}, nil
	}
	n, err := readCount(line[1:], maxArgs)
	if err != nil {
		return Command{}, err
	}
	var args []string
	for range n {
		arg, err := readBulk(r, &raw)
		if err != nil {
			return Command{}, noEOF(err)
		}
		args = append(args, arg)
	}
	return Command{Args: args, Raw: raw.Bytes()}, nil
}

// readBulk reads a bulk string, and appends its bytes to raw.
func readBulk(r *bufio.Reader, raw *bytes.Buffer) (string, error) {
	line, err := readLine(r, raw)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(line, "$") {
		return "", fmt.Errorf("%w: %.20q instead of a bulk string", errProtocol, line)
	}
	n, err := readCount(line[1:], maxBulk)
	if err != nil {
		return "", err
	}
	start := raw.Len()
	if _, err := io.CopyN(raw, r, int64(n)+2); err != nil {
		return "", err
	}
	data := raw.Bytes()[start:]
	if string(data[n:]) != "\r\n" {
		return "", fmt.Errorf("%w: a bulk string of another length than it says", errProtocol)
	}
	return string(data[:n]), nil
}

// readLine reads a line, appends it to raw, and returns it without its end.
func readLine(r *bufio.Reader, raw *bytes.Buffer) (string, error) {
	line, err := r.ReadString('\n')
	raw.WriteString(line)
	if err != nil {
		if line != "" {
			err = noEOF(err)
		}
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// readCount parses a length from 0 to most.
func readCount(digits string, most int) (int, error) {
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%w: length %.20q", errProtocol, digits)
	}
	return n, nil
}

// noEOF turns io.EOF into io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendCommand appends a request to dst.
func appendCommand(dst []byte, args ...string) []byte {
	dst = fmt.Appendf(dst, "*%d\r\n", len(args))
	for _, arg := range args {
		dst = fmt.Appendf(dst, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return dst
}

// A replyError is an error in an answer of the server.
type replyError string

// Error implements error.
func (e replyError) Error() string { return string(e) }

// readReply reads an answer of protocol version 2: a string, an int64, nil, a
// []any, or an error.
func readReply(r *bufio.Reader) (any, error) {
	line, err := readLine(r, &bytes.Buffer{})
	if err != nil {
		return nil, noEOF(err)
	}
	if line == "" {
		return nil, errProtocol
	}
	switch rest := line[1:]; line[0] {
	case '+':
		return rest, nil
	case '-':
		return nil, replyError(rest)
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	case '$':
		return readBulkReply(r, rest)
	case '*':
		return readArrayReply(r, rest)
	default:
		return nil, fmt.Errorf("%w: %.20q", errProtocol, line)
	}
}

func readBulkReply(r *bufio.Reader, length string) (any, error) {
	if length == "-1" {
		return nil, nil //nolint:nilnil // a nil answer
	}
	n, err := readCount(length, maxBulk)
	if err != nil {
		return nil, err
	}
	data := make([]byte, n+2)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, noEOF(err)
	}
	return string(data[:n]), nil
}

func readArrayReply(r *bufio.Reader, length string) (any, error) {
	if length == "-1" {
		return nil, nil //nolint:nilnil // a nil answer
	}
	n, err := readCount(length, maxArgs)
	if err != nil {
		return nil, err
	}
	var items []any
	for range n {
		item, err := readReply(r)
		if answered, ok := errors.AsType[replyError](err); ok {
			item, err = answered, nil
		}
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}
