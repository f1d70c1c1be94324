package after

// Pending returns how many invalidations the store has not confirmed, for tests.
func (p *Products) Pending() int { return p.scope.Stats().Pending }
