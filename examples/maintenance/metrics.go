package main

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/otelcache"
)

// metrics are what Prometheus collects.
type metrics struct {
	*otelcache.Telemetry

	handler http.Handler
	meters  *sdkmetric.MeterProvider
}

// newMetrics returns metrics that /metrics shows to Prometheus: OpenTelemetry with the exporter for
// it.
func newMetrics() (*metrics, error) {
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	telemetry, err := otelcache.New(otelcache.Options{MeterProvider: meters})
	if err != nil {
		return nil, err
	}
	return &metrics{telemetry, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), meters}, nil
}

// register adds a cache.
func (m *metrics) register(cache *readthrough.Cache) error {
	_, err := m.Register(cache) // until the process ends
	return err
}

func (m *metrics) close() error {
	return m.meters.Shutdown(context.Background())
}
