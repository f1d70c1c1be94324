package protobufcodec_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/readthrough/readthrough/codecs/internal/shop"
	"github.com/readthrough/readthrough/codecs/protobufcodec"
	"github.com/readthrough/readthrough/provider"
)

// described returns an empty message whose description is that of shop.User after a change.
func described(t *testing.T, change func(address *descriptorpb.DescriptorProto)) proto.Message {
	t.Helper()
	file := protodesc.ToFileDescriptorProto(shop.File_shop_proto)
	for _, m := range file.GetMessageType() {
		if m.GetName() == "Address" {
			change(m)
		}
	}
	made, err := protodesc.NewFile(file, resolver{})
	require.NoError(t, err)
	return dynamicpb.NewMessage(made.Messages().ByName("User"))
}

type resolver struct{}

func (resolver) FindFileByPath(string) (protoreflect.FileDescriptor, error) {
	return (&shop.User{}).ProtoReflect().Descriptor().Fields().ByName("created").Message().ParentFile(), nil
}

func (resolver) FindDescriptorByName(protoreflect.FullName) (protoreflect.Descriptor, error) {
	return (&shop.User{}).ProtoReflect().Descriptor().Fields().ByName("created").Message(), nil
}

// TestOtherDescriptions: a process whose messages have other fields, also inside, does not read an entry.
func TestOtherDescriptions(t *testing.T) {
	t.Parallel()
	codec := protobufcodec.New(nil)
	encode := func(change func(address *descriptorpb.DescriptorProto)) []byte {
		data, err := codec.Marshal(described(t, change))
		require.NoError(t, err)
		return data
	}
	var into *shop.User
	require.NoError(t, codec.Unmarshal(encode(func(*descriptorpb.DescriptorProto) {}), &into))
	assert.NotNil(t, into)
	for name, change := range map[string]func(address *descriptorpb.DescriptorProto){
		"renamed":    func(a *descriptorpb.DescriptorProto) { a.Field[0].Name = new("lane") },
		"renumbered": func(a *descriptorpb.DescriptorProto) { a.Field[0].Number = new(int32(77)) },
		"retyped": func(a *descriptorpb.DescriptorProto) {
			a.Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()
		},
		"removed": func(a *descriptorpb.DescriptorProto) { a.Field = a.Field[1:] },
		"repeated": func(a *descriptorpb.DescriptorProto) {
			a.Field[0].Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		},
	} {
		assert.ErrorContains(t, codec.Unmarshal(encode(change), &into), "not the encoding of a *shop.User with these fields", name)
	}
	data, err := codec.Marshal(&shop.Address{City: "Paris"})
	require.NoError(t, err)
	assert.Error(t, codec.Unmarshal(data, &into), "another message")
}

// TestUnknownFields: a message comes back with fields that its type does not know.
func TestUnknownFields(t *testing.T) {
	t.Parallel()
	m := &shop.Address{City: "Paris"}
	m.ProtoReflect().SetUnknown(protoreflect.RawFields("\xa0\x06\x01"))
	e, err := provider.NewChecker(protobufcodec.New(nil)).Encode(m)
	require.NoError(t, err)
	var back *shop.Address
	require.NoError(t, e.Decode(&back))
	assert.True(t, proto.Equal(m, back))
	assert.Equal(t, "\xa0\x06\x01", string(back.ProtoReflect().GetUnknown()))
}

// TestLists: nil elements stay nil.
func TestLists(t *testing.T) {
	t.Parallel()
	list := []*shop.User{nil, {Id: 1}, nil, {}}
	e, err := provider.NewChecker(protobufcodec.New(nil)).Encode(list)
	require.NoError(t, err)
	var back []*shop.User
	require.NoError(t, e.Decode(&back))
	require.Len(t, back, 4)
	assert.Nil(t, back[0])
	assert.EqualValues(t, 1, back[1].GetId())
	assert.NotNil(t, back[3])
	_, err = provider.NewChecker(protobufcodec.New(nil)).Encode([]proto.Message{&shop.User{Id: 1}})
	assert.Error(t, err, "messages of several types")
}

// FuzzUnmarshal: whatever the bytes are, the answer is an error or a value, and what was decoded comes back.
func FuzzUnmarshal(f *testing.F) {
	codec := protobufcodec.New(nil)
	for _, v := range []any{&shop.User{Id: 1, Name: "Ada"}, []*shop.User{{Id: 1}, nil}, &shop.Tree{Children: []*shop.Tree{{Name: "leaf"}}}} {
		data, err := codec.Marshal(v)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		again(t, codec, data, new(*shop.User))
		again(t, codec, data, new([]*shop.User))
		again(t, codec, data, new(*shop.Tree))
	})
}

func again[T any](t *testing.T, codec provider.Codec, data []byte, v *T) {
	t.Helper()
	if codec.Unmarshal(data, v) != nil {
		return
	}
	if _, err := provider.NewChecker(codec).Encode(*v); err != nil {
		t.Fatalf("%v was decoded and would not come back: %v", *v, err)
	}
}
