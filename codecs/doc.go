// Package codecs has no code: its subpackages are codecs for stores outside the process, each with the dependency that it
// needs. A program compiles only those that it imports.
//
//   - protobufcodec: messages of protocol buffers, by google.golang.org/protobuf.
//   - msgpackcodec: MessagePack, by github.com/vmihailenco/msgpack/v5.
//   - zstdcodec: compression of what another codec encodes, by github.com/klauspost/compress.
//
// The codec of encoding/gob needs the standard library only: github.com/readthrough/readthrough/gobcodec. The
// default is provider.JSON.
package codecs
