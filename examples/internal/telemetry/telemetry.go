// Package telemetry shows the metrics of a cache to Prometheus.
package telemetry

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

// Metrics are what Prometheus collects.
type Metrics struct {
	*otelcache.Telemetry

	// Handler answers /metrics.
	Handler http.Handler

	meters *sdkmetric.MeterProvider
}

// New returns metrics that /metrics shows to Prometheus: OpenTelemetry with the exporter for
// it.
func New() (*Metrics, error) {
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
	return &Metrics{telemetry, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), meters}, nil
}

// Add adds a cache.
func (m *Metrics) Add(cache *readthrough.Cache) error {
	_, err := m.Telemetry.Register(cache) // until the process ends
	return err
}

// Close ends the metrics.
func (m *Metrics) Close() error {
	return m.meters.Shutdown(context.Background())
}
