package providertest

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

func inProcessCases() []capabilityCase[provider.InProcess] {
	return []capabilityCase[provider.InProcess]{{
		"never-waits",
		because("The calls of a store that is marked as in the process never wait. The cache makes them without a deadline, so a store that waits makes every reader wait."),
		func(s *session, marked provider.InProcess) {
			if !s.exact() {
				s.skipf("in real time every call takes some: this case is for RunSynctest")
			}
			began := time.Now()
			marked.InProcess()
			s.set(k("key"), "value", time.Hour)
			s.want(k("key"), "value")
			s.wantMiss(k("missing"))
			s.remove(k("key"))
			s.wantRemoved("scope", "", 0)
			if waited := time.Since(began); waited != 0 {
				s.errorf("the calls waited for %v", waited)
			}
		},
	}}
}
