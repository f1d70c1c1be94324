package redisprovider

import "time"

// A GET does not tell whether a master has answered it. An address that leads to replicas
// now and then, such as the reader endpoint of a managed service, or a Sentinel client of an
// old master, is found out by the first write that comes to a replica. From then on, for
// suspicion, each read proves that it is at a master: its script also makes a write that
// changes nothing, which a replica refuses. That needs no permission that the store does
// not need anyway.
const suspicion = time.Minute

// suspect has reads prove that they are at a master.
func (p *Provider) suspect() {
	if p.server != nil {
		p.suspectedUntil.Store(time.Now().Add(suspicion).UnixNano())
	}
}

// suspected reports whether reads have to prove that.
func (p *Provider) suspected() bool {
	until := p.suspectedUntil.Load()
	return until != 0 && time.Now().UnixNano() < until
}
