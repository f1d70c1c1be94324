package codecs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/readthrough/readthrough/codecs/internal/shop"
	"github.com/readthrough/readthrough/codecs/msgpackcodec"
	"github.com/readthrough/readthrough/codecs/protobufcodec"
	"github.com/readthrough/readthrough/codecs/zstdcodec"
	"github.com/readthrough/readthrough/gobcodec"
	"github.com/readthrough/readthrough/provider"
)

// user is a row with an address.
type user struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name"`
	Email   string    `json:"email"`
	Active  bool      `json:"active"`
	Score   float64   `json:"score"`
	Tags    []string  `json:"tags"`
	Created time.Time `json:"created"`
	Address *address  `json:"address"`
}

type address struct {
	Street  string `json:"street"`
	City    string `json:"city"`
	Zip     string `json:"zip"`
	Country string `json:"country"`
}

// order is a row with the rows that belong to it.
type order struct {
	ID       int64             `json:"id"`
	Customer int64             `json:"customer"`
	Currency string            `json:"currency"`
	Items    []item            `json:"items"`
	Ordered  time.Time         `json:"ordered"`
	Paid     *time.Time        `json:"paid"`
	Labels   map[string]string `json:"labels"`
	Card     string            `json:"card"`
}

type item struct {
	SKU      string  `json:"sku"`
	Title    string  `json:"title"`
	Cents    int64   `json:"cents"`
	Quantity int32   `json:"quantity"`
	Weight   float64 `json:"weight"`
}

var (
	created = time.Date(2024, 5, 17, 9, 26, 53, 589793000, time.UTC)
	paid    = time.Date(2025, 2, 7, 18, 28, 18, 0, time.UTC)
)

func sampleUser(n int) user {
	return user{
		ID: int64(1_000_000 + n), Name: fmt.Sprintf("Grace Hopper %d", n), Email: fmt.Sprintf("grace.hopper.%d@example.org", n),
		Active: n%3 != 0, Score: 0.7071 * float64(n+1), Tags: []string{"admin", "navy", "compilers"}, Created: created.Add(time.Duration(n) * time.Hour),
		Address: &address{fmt.Sprintf("%d Harvard Yard", n+1), "Cambridge", "02138", "US"},
	}
}

func sampleOrder() order {
	o := order{
		ID: 90_210, Customer: 1_000_042, Currency: "EUR", Ordered: created, Paid: &paid,
		Labels: map[string]string{"channel": "web", "campaign": "spring-2024", "warehouse": "north"}, Card: "visa",
	}
	for i := range 12 {
		o.Items = append(o.Items, item{fmt.Sprintf("SKU-%05d", 7919*i%99991), fmt.Sprintf("Ball bearing, %d mm, stainless", 3+i), int64(199 + 50*i), int32(1 + i%4), 0.125 * float64(i+1)})
	}
	return o
}

func sampleUsers() (users []user) {
	for n := range 100 {
		users = append(users, sampleUser(n))
	}
	return users
}

func userMessage(n int) *shop.User {
	u := sampleUser(n)
	return &shop.User{
		Id: u.ID, Name: u.Name, Email: u.Email, Active: u.Active, Score: u.Score, Tags: u.Tags, Created: timestamppb.New(u.Created),
		Address: &shop.Address{Street: u.Address.Street, City: u.Address.City, Zip: u.Address.Zip, Country: u.Address.Country},
	}
}

func orderMessage() *shop.Order {
	o := sampleOrder()
	m := &shop.Order{
		Id: o.ID, Customer: o.Customer, Currency: o.Currency, Ordered: timestamppb.New(o.Ordered), Paid: timestamppb.New(*o.Paid), Labels: o.Labels,
		Payment: &shop.Order_Card{Card: o.Card},
	}
	for _, i := range o.Items {
		m.Items = append(m.Items, &shop.Item{Sku: i.SKU, Title: i.Title, Cents: i.Cents, Quantity: i.Quantity, Weight: i.Weight})
	}
	return m
}

func userMessages() (users []*shop.User) {
	for n := range 100 {
		users = append(users, userMessage(n))
	}
	return users
}

// zstdOf returns the codec that compresses what another encodes.
func zstdOf(tb testing.TB, inner provider.Codec, options zstdcodec.Options) provider.Codec {
	tb.Helper()
	codec, err := zstdcodec.New(inner, options)
	require.NoError(tb, err)
	return codec
}

// all returns the codecs that a store may have.
func all(tb testing.TB) []provider.Codec {
	tb.Helper()
	return []provider.Codec{
		provider.JSON(), gobcodec.New(), msgpackcodec.New(), protobufcodec.New(nil), protobufcodec.New(msgpackcodec.New()),
		zstdOf(tb, provider.JSON(), zstdcodec.Options{}), zstdOf(tb, protobufcodec.New(gobcodec.New()), zstdcodec.Options{Above: 1, Level: 9}),
		protobufcodec.New(zstdOf(tb, msgpackcodec.New(), zstdcodec.Options{Above: 64})),
	}
}
