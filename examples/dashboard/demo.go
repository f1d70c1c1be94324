package main

import (
	"context"
	"io"
)

func runDemo(ctx context.Context, c config, stdout io.Writer) error { return nil }
