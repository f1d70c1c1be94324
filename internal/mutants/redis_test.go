package mutants

// redisMutants are those of the store that processes share.
func redisMutants() []mutant {
	return []mutant{
		{
			"a listing of buckets has no gap", "G9", "inspect.go",
			"return \"n\"+e.Key.Name > end", "return e.Key.Name == \"\" && end == \"\"",
			"TestListOnCluster",
		},
		{
			"scripts are loaded into the server that runs them", "G4", "script.go",
			"if way.pin != nil {", "if false {",
			"TestScriptsAreLoadedWhereTheyRun",
		},
		{
			"a page costs a page", "G9", "lua/page.lua",
			"ARGV[3], 'LIMIT', 0, ARGV[4])", "ARGV[3], 'LIMIT', 0, 1000)",
			"TestListCostsAPage",
		},
		{
			"a fill needs its lease", "G2", "lua/fill.lua",
			"if owner(redis.pcall('GETRANGE', KEYS[1], 0, START), ARGV[2]) == 0 then return 0 end", "",
			"TestLateFill",
		},
		{
			"a lease has a token, which is compared", "G2", "lua/leased.lua",
			"if found == stamped(lease) then return LEASE end", "if isLease(found) then return LEASE end",
			"TestHole9LeaseExpires",
		},
		{
			"an acquire that is repeated gets another lease", "G2", "lua/grant.lua",
			"local nonce = granted(redis.call('TIME'))", "local nonce = string.sub(frame, -16)",
			"TestHole8LateCommands",
		},
		{
			"a refresh that is repeated gets another lease", "G2", "lua/refresh.lua",
			"local nonce = granted(time)", "local nonce = string.sub(ARGV[2], -16)",
			"TestZombieRefresh",
		},
		{
			"a lease of another is respected", "G6", "lua/acquire.lua",
			"if isLease(found) then return 0 end", "if isLease(found) then return plant(KEYS[1], KEYS[4], ARGV[1], ARGV[2], tonumber(ARGV[3])) end",
			"TestLinearizable",
		},
		{
			"a refresh lease of another is respected", "G6", "lua/refresh.lua",
			"if leaseOf(found) then return {'', found} end", "",
			"TestRefreshKeepsTheEntry",
		},
		{
			"a refresh lease goes with its entry", "G2", "lua/leased.lua",
			"if isEntry(found) and current(found) and leaseOf(found) == string.sub(lease, 6) then return kind(found) end", "if isEntry(found) and current(found) then return kind(found) end",
			"TestLateUseOfARefreshLease",
		},
		{
			"a refresh lease ends", "G2", "lua/leased.lua",
			"if not ends or ends <= digits(clock(redis.call('TIME'))) then return nil end", "if not ends then return nil end",
			"TestRefreshAnswers",
		},
		{
			"a refresh replaces the entry that was found, and no other", "G6", "lua/refresh.lua",
			"if ARGV[5] ~= '1' and string.sub(found, at, at + 11) ~= ARGV[4] then return found end", "",
			"TestRefreshAnswers",
		},
		{
			"an extension needs the lease", "G2", "lua/extend.lua",
			"if kind == 0 or kind == LEASE then return 0 end", "if kind == LEASE then return 0 end\nif kind == 0 and (type(found) ~= 'string' or not isEntry(found)) then return 0 end\nif kind == 0 then kind = VALUE end",
			"TestLateUseOfARefreshLease",
		},
		{
			"a release removes its own lease only", "G6", "lua/release.lua",
			"if kind == 0 then return 0 end", "if kind == 0 then return redis.call('UNLINK', KEYS[1]) end",
			"TestHole8LateCommands",
		},
		{
			"an invalidation removes what is there", "G1 G2", "delete.go",
			"unlinked := pipe.Unlink(ctx, names...)", "unlinked := pipe.Exists(ctx, names...)",
			"TestLinearizable",
		},
		{
			"an invalidation says when it was not confirmed", "G5", "delete.go",
			"return failedMany(\"delete\", p.keysOf(part), err)", "return nil",
			"TestUnconfirmedDeletes",
		},
		{
			"a removal by prefix ends leases", "G2", "lua/prefix.lua",
			"redis.call('UNLINK', key)", "if isEntry(head) then redis.call('UNLINK', key) end",
			"TestPrefixEndsLeases",
		},
		{
			"a removal by prefix asks whether the index is complete", "G2", "lua/prefix.lua",
			"if not complete(KEYS[1]) then return {-1, 0} end", "",
			"TestHole10EvictedIndex",
		},
		{
			"what is stored is listed first", "G2", "lua/store.lua",
			"add(index, 'n' .. name, ttl)", "",
			"TestIndexIsUsed",
		},
		{
			"what is stored is listed in an index that is not complete, too", "G2", "lua/store.lua",
			"add(index, 'n' .. name, ttl)", "if complete(index) then add(index, 'n' .. name, ttl) end",
			"TestHole12LeaseDuringScan",
		},
		{
			"a rebuild ends only if its token is still there", "G2", "lua/rebuild_end.lua",
			"if not redis.call('ZSCORE', KEYS[1], 't' .. ARGV[1]) then return -1 end", "",
			"TestIndexLostAtTheEndOfARebuild",
		},
		{
			"a rebuild adds only where its token is", "G9", "lua/rebuild_add.lua",
			"if not redis.call('ZSCORE', KEYS[1], 't' .. ARGV[1]) then return -1 end", "",
			"TestIndexLostDuringRebuildEnds",
		},
		{
			"a repeated begin of a rebuild has another token", "G2", "lua/rebuild_begin.lua",
			"ARGV[1] .. string.format('%.0f', time[1] * 1000000 + time[2])", "ARGV[1]",
			"TestHole8LateCommands",
		},
		{
			"the index outlives what it lists", "G2", "lua/index.lua",
			"redis.call('PEXPIRE', index, ttl + 2 * DAY)", "redis.call('PEXPIRE', index, 1)",
			"TestIndexLifetime",
		},
		{
			"trimming spares what lives", "G2", "lua/index.lua",
			"if string.sub(member, 1, 1) == 'n' and redis.pcall('EXISTS', root .. string.sub(member, 2)) == 0 then", "if string.sub(member, 1, 1) == 'n' then",
			"TestTrimmingSparesTheLiving",
		},
		{
			"prefixes are bytes", "G2", "prefix.go",
			"end[i]++", "",
			"TestLexRange",
		},
		{
			"acquires and fills are sent once", "G2", "command.go",
			"(once) NoRetry() bool { return true", "(once) NoRetry() bool { return false",
			"TestCommandsThatAreSentOnceStaySo",
		},
		{
			"no lease is granted under a hold", "G1 G2", "lua/held.lua",
			"if redis.call('EXISTS', keyHolds, prefixHolds, untilEnd) == 0 then return false end", "if true then return false end",
			"TestHoldEndsWhatIsUnderWay",
		},
		{
			"a hold removes what is there", "G2", "lua/hold.lua",
			"if KEYS[2] then redis.call('UNLINK', KEYS[2]) end", "",
			"TestHoldEndsWhatIsUnderWay",
		},
		{
			"what is removed is told to near caches, which are waited for", "G1", "delete.go",
			"return p.await(ctx, once{announced})", "return announced.Err()",
			"TestNearWithoutOne",
		},
		{
			"what is removed by prefix is told to near caches, which are waited for", "G1", "prefix.go",
			"return removed, p.await(ctx, announced)", "return removed, announced.Err()",
			"TestSharedConformance",
		},
		{
			"near caches are told behind what is removed, whichever scripts a server knows", "G1", "near.go",
			"c.behind = true", "",
			"TestNearIsToldBehind",
		},
		{
			"near caches are told when the last of a prefix is removed", "G1", "prefix.go",
			"remove = p.runUntold", "remove = func(ctx context.Context, calls []call, gone *provider.Removed) ([]once, once) {\n\t\t\ttold := announced\n\t\t\ta, _ := p.runUntold(ctx, calls, gone)\n\t\t\treturn a, told\n\t\t}",
			"TestNearPrefixOfMany",
		},
		{
			"a master without its replicas renews no near cache", "G1", "script.go",
			"beat:         newScript(sole, recordPart, beatSource)", "beat:         newScript(recordPart, beatSource)",
			"TestNearOfAMasterWithoutReplicas",
		},
		{
			"a promoted replica begins a record of its own", "G1", "lua/record.lua",
			"if has[1] ~= run or not", "if not",
			"TestNearFailover",
		},
		{
			"a full server tells near caches", "G5", "lua/record.lua",
			"redis.call('PEXPIRE', key, LIFE)", "",
			"TestNearOnAFullServer",
		},
		{
			"what is not the record heals", "G5", "lua/record.lua",
			"if has.err and not string.find(has.err, 'WRONGTYPE', 1, true) then error(has.err) end", "if has.err then error(has.err) end",
			"TestNearRecordIsNotOurs",
		},
		{
			"a prefix is held before it is emptied", "G2", "hold.go",
			"\tif err := p.place(ctx, targets, token, px, removed.Keys); err != nil {\n\t\treturn fmt.Errorf(\"redisprovider: hold in scope %q: %w\", targets.Scope, told(err))\n\t}\n\tfor _, prefix := range targets.Prefixes {\n\t\tif _, err := p.DeletePrefix(ctx, targets.Scope, prefix); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\treturn nil",
			"\tfor _, prefix := range targets.Prefixes {\n\t\tif _, err := p.DeletePrefix(ctx, targets.Scope, prefix); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\treturn p.place(ctx, targets, token, px, removed.Keys)",
			"TestPrefixHoldIsPlacedFirst",
		},
		{
			"with the fence, entries of another run of the server do not count", "G1 G2", "lua/fence_on.lua",
			"return (string.byte(frame, 5) or 0) % 2 == 1 and string.sub(frame, 6, 21) == run", "return true",
			"TestOldSnapshot",
		},
		{
			"with WaitReplicas, too few replicas are an error", "G5", "wait.go",
			"if err == nil && have < p.waitReplicas {", "if false {",
			"TestHole15WaitForReplicas",
		},
		{
			"damaged frames are misses", "G4", "frame.go",
			"\tif r.bad || len(r.rest) != 0 {", "\tif r.bad {",
			"TestDamagedFrames",
		},
		{
			"values of other codecs are misses", "G4", "entry.go",
			"case f.codec != p.codecName:", "case false:",
			"TestTwoCodecs",
		},
		{
			"scripts do not run on half of a slot that moves", "G2", "moving.go",
			"return append(keys, b.nothing())", "return keys",
			"TestPrefixOfAMovingSlot",
		},
		{
			"a scan counts only if no slot moved", "G2", "moving.go",
			"if err == nil && before != after {", "if err == nil && before != after && false {",
			"TestScanOfAMovingSlot",
		},
		// What is not ours, and how many holds there are.
		{
			"a lease has an end", "G4", "lua/frame.lua",
			"if left < 0 or left > math.max(ttl, LONGEST_LEASE) then", "if left > math.max(ttl, LONGEST_LEASE) then",
			"TestEndsOfLeases",
		},
		{
			"a lease ends in a day", "G4", "lua/frame.lua",
			"if left < 0 or left > math.max(ttl, LONGEST_LEASE) then", "if left < 0 then",
			"TestEndsOfLeases",
		},
		{
			"a lease that was asked for keeps its end", "G6", "lua/frame.lua",
			"left > math.max(ttl, LONGEST_LEASE)", "left > ttl",
			"TestEndsOfLeases",
		},
		{
			"an acquire has a lease end", "G4", "lua/acquire.lua",
			"  endLease(KEYS[1], found, tonumber(ARGV[3]))\n", "",
			"TestEndsOfLeases",
		},
		{
			"a refresh has a lease end", "G4", "lua/refresh.lua",
			"if found then endLease(KEYS[1], found, tonumber(ARGV[3])) end", "",
			"TestEndsOfLeases",
		},
		{
			"a lease beside an entry ends in a day", "G4", "lua/refresh.lua",
			"if endless(found, ttl) then found = withLease(found, '') end", "",
			"TestHole30WhatIsNotOursHeals",
		},
		{
			"what is no hold on a key is removed", "G4", "lua/held.lua",
			"healed(keyHolds, redis.pcall('ZCOUNT', keyHolds, after, last), 0)", "redis.call('ZCOUNT', keyHolds, after, last)",
			"TestHole30WhatIsNotOursHeals",
		},
		{
			"what is no hold on a prefix is removed", "G4", "lua/held.lua",
			"healed(prefixHolds, redis.pcall('ZRANGEBYSCORE', prefixHolds, after, last, 'LIMIT', 0, WALK), {})", "redis.call('ZRANGEBYSCORE', prefixHolds, after, last, 'LIMIT', 0, WALK)",
			"TestHole30WhatIsNotOursHeals",
		},
		{
			"what is no hold to the end is removed", "G4", "lua/held.lua",
			"healed(key, redis.pcall('ZMSCORE', key, unpack(prefixes)), {})", "redis.call('ZMSCORE', key, unpack(prefixes))",
			"TestHole30WhatIsNotOursHeals",
		},
		{
			"a member that is no hold is none", "G4", "lua/held.lua",
			"if not length or colon + tonumber(length) > #member then return nil end", "",
			"TestHole30WhatIsNotOursHeals",
		},
		{
			"a hold has an end", "G4", "lua/held.lua",
			"string.format('%.0f', now + FARTHEST)", "'+inf'",
			"TestHole30WhatIsNotOursHeals",
		},
		{
			"a hold to the end has an end", "G4", "lua/held.lua",
			" and till <= now + FARTHEST then", "  then",
			"TestHole30WhatIsNotOursHeals",
		},
		{
			"a hold replaces what is no holds", "G4", "lua/hold.lua",
			"if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('UNLINK', KEYS[1]) end", "",
			"TestHole30WhatIsNotOursHeals",
		},
		{
			"a hold removes holds without an end", "G9", "lua/hold.lua",
			"redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now + FARTHEST), '+inf') -- not ours", "",
			"TestHole30WhatIsNotOursHeals",
		},
		{
			"what is no holds holds nothing that is to be given up", "G4", "hold.go",
			"if calls[i].script == nil && serverSays(err, \"WRONGTYPE\") {", "if false {",
			"TestHole30WhatIsNotOursHeals",
		},
		{
			"an index is in order", "G2", "lua/index.lua",
			"type(redis.pcall('ZSCORE', index, 'c')) == 'string' and ordered(index)", "type(redis.pcall('ZSCORE', index, 'c')) == 'string'",
			"TestIndexOutOfOrder",
		},
		{
			"an index that is out of order is begun anew", "G4", "lua/rebuild_begin.lua",
			"if not ordered(KEYS[1]) then", "if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then",
			"TestIndexOutOfOrder",
		},
		{
			"an index in the place of something else ends", "G9", "lua/index.lua",
			"if not zadd(index, member) then left = -2 end", "zadd(index, member)",
			"TestIndexInPlaceOfAnother",
		},
		{
			"what is no member of an index is trimmed", "G9", "lua/index.lua",
			"if mark ~= 'n' and mark ~= 't' and member ~= 'c' then redis.call('ZREM', index, member) end", "",
			"TestIndexInPlaceOfAnother",
		},
		{
			"holds to the end are looked up", "G1 G2", "lua/held.lua",
			"if redis.call('EXISTS', untilEnd) == 1 and heldToTheEnd(untilEnd, name, now) then return true end", "",
			"TestLagOfManyPrefixes",
		},
		{
			"the longest prefix that is looked up is looked up", "G1 G2", "lua/held.lua",
			"for length = 0, math.min(#name, LONGEST) do", "for length = 0, math.min(#name, LONGEST) - 1 do",
			"TestLagOfManyPrefixes",
		},
		{
			"a prefix has one hold to the end", "G9", "hold.go",
			"if targets.LeftToTTL && len(prefix) <= longestToTheEnd {", "if false {",
			"TestLagOfManyPrefixes",
		},
		{
			"a longer prefix is not looked up", "G1 G2", "hold.go",
			"if targets.LeftToTTL && len(prefix) <= longestToTheEnd {", "if targets.LeftToTTL {",
			"TestLagOfManyPrefixes",
		},
		{
			"a target has one hold to the end", "G9", "hold.go",
			"	if targets.LeftToTTL {\n		token = \"\"", "	if false {\n		token = \"\"",
			"TestLagOfOneTargetIsOneHold",
		},
		{
			"the latest end of a hold counts", "G1 G2", "lua/hold.lua",
			"redis.call('ZADD', KEYS[1], 'GT', till, ARGV[i])", "redis.call('ZADD', KEYS[1], till, ARGV[i])",
			"TestLatestEndOfALagCounts",
		},
		{
			"what is looked at one by one is bounded", "G8", "lua/held.lua",
			"return #members == WALK", "return false",
			"TestHoldsOfOldProcesses",
		},
		{
			"old processes see holds to the end", "G1 G2", "hold.go",
			"	if len(toTheEnd) > 0 {\n		withToken = append(withToken, mirror)\n	}\n", "",
			"TestHoldsOfOldProcesses",
		},
		{
			"the hold for old processes is none for others", "G4", "lua/held.lua",
			"elseif member ~= mirror and string.sub", "elseif string.sub",
			"TestHole31ManyLags",
		},
		{
			"ended holds are dropped in parts", "G8", "lua/hold.lua",
			", 'LIMIT', 0, ENDED + #ARGV)", ")",
			"TestEndedHoldsAreDroppedInParts",
		},
		// Two masters.
		{
			"a master without its replicas is not read", "G1", "lua/replicas.lua",
			"if have < NEED then", "if false then",
			"TestHole22TwoMasters",
		},
		{
			"a replica that says nothing counts as away", "G1", "lua/replicas.lua",
			"if state == 'online' and tonumber(lag) <= LAG then", "if state == 'online' then",
			"TestMasterWithoutReplicas",
		},
		{
			"a fill at a master without its replicas confirms nothing", "G1", "script.go",
			"fill:         newScript(sole,", "fill:         newScript(fencePart,",
			"TestHole22TwoMasters",
		},
		// Layouts, and replicas.
		{
			"another layout is noticed", "G1 G3", "layout.go",
			"case found != want:", "case false:",
			"TestLayouts",
		},
		{
			"no call is made before the layout is known", "G1 G3", "layout.go",
			"	if under == nil {\n		return err\n	}\n	select {", "	if under == nil || true {\n		return err\n	}\n	select {",
			"TestLayouts",
		},
		{
			"a process looks at the layout again", "G1 G3", "layout.go",
			"if confirmed && age < markerEvery {", "if confirmed {",
			"TestMarkerIsNoticedLater",
		},
		{
			"what does not tell the layout is no reason to stay away", "G4", "layout.go",
			"if !other && isAnswer(err) && !errors.Is(err, provider.ErrReadOnly) {", "if false {",
			"TestMarkerThatCannotBeSet",
		},
		{
			"a replica is not read from because its first write fails", "G1", "layout.go",
			"set := once{redis.NewCmd(ctx, \"set\", key, want, \"nx\", \"px\", markerTTL.Milliseconds())}", "set := once{redis.NewCmd(ctx, \"exists\", key)}",
			"TestReplicaOnly",
		},
		{
			"after a replica has refused a write, reads prove where they are", "G1", "suspect.go",
			"return until != 0 && time.Now().UnixNano() < until", "return until < 0",
			"TestReaderEndpoint",
		},
		{
			"the proof is a write", "G1", "lua/proof.lua",
			"redis.call('UNLINK', KEYS[#KEYS])", "",
			"TestReaderEndpoint",
		},
		// Connections.
		{
			"connecting has a deadline of its own", "G4", "connect.go",
			"			p.connect(ctx)\n", "",
			"TestConnectingHasADeadlineOfItsOwn",
		},
		{
			"a cluster client looks for the masters again", "G4", "connect.go",
			"			p.cluster.ReloadState(ctx)\n", "",
			"TestClusterLooksForTheMastersAgain",
		},
		{
			"a panic in the background is an error", "G8", "background.go",
			"		if r := recover(); r != nil {\n			err = clientFailure(r)\n		}\n", "",
			"TestPanicsInTheBackground",
		},
		{
			"a removal that waits for replicas follows a slot that moves", "G5", "wait.go",
			"if addr, ok := redis.IsAskError(command.Err()); ok {", "if addr, ok := redis.IsAskError(command.Err()); ok && false {",
			"TestWaitWhileASlotMoves",
		},
		{
			"the node that gets a slot is asked as such", "G5", "wait.go",
			"	if c.asking {\n", "	if false {\n",
			"TestWaitWhileASlotMoves",
		},
		{
			"a write that a moving slot redirects is no failure", "G5", "wait.go",
			"case !asked && !moved:", "case !asked && !moved || true:",
			"TestWaitWhileASlotMoves",
		},
		// Leases whose answer nobody has read.
		{
			"an unread lease is given back", "G6", "lease.go",
			"\tp.abandon(ctx, unread)\n", "\t_ = unread\n",
			"TestLeaseWhoseAnswerNobodyReadIsGivenBack",
		},
		{
			"only a lease of this token is given back", "G2 G6", "lua/abandon.lua",
			"if not token or string.sub(token, 1, #ARGV[1]) ~= ARGV[1] then return 0 end", "if not token then return 0 end",
			"TestGivingBackLeavesOtherLeases",
		},
		{
			"the entry beside a lease that is given back stays", "G4", "lua/abandon.lua",
			"redis.call('SET', KEYS[1], withLease(redis.call('GET', KEYS[1]), ''), 'KEEPTTL')", "redis.call('UNLINK', KEYS[1])",
			"TestLeaseWhoseAnswerNobodyReadIsGivenBack",
		},
		{
			"a refusal is told from a failure", "G4", "refusal.go",
			"case isRefusal(err):", "case false:",
			"TestRefusalsAreTold",
		},
		{
			"a replica is told from a failure", "G1", "refusal.go",
			"case serverSays(err, \"READONLY \"):", "case false:",
			"TestRefusalsAreTold",
		},
		// Reads that go together.
		{
			"a read that is gathered takes its own answer", "G1", "gather.go",
			"return b.results[i]\n\tcase", "return b.results[i/2]\n\tcase",
			"TestGather",
		},
		{
			"reads that wait are sent", "G4", "gather.go",
			"\tgo g.fly(b)\n", "",
			"TestGather",
		},
		{
			"nobody joins a round trip that is under way", "G1", "gather.go",
			"\tb := g.next\n\tg.next = nil\n", "\tb := g.next\n\tif !b.until.IsZero() {\n\t\tg.flying--\n\t\treturn\n\t}\n\tb.until = time.Now()\n",
			"TestGatherAsksAgain",
		},
		{
			"a round trip that fails fails for all its readers", "G4", "gather.go",
			"b.results = failedResults(b.names, err)", "_ = err",
			"TestGatherPanic",
		},
		{
			"a prefix that is not emptied is not held", "G1", "hold.go",
			"if _, err := p.DeletePrefix(ctx, targets.Scope, prefix); err != nil {", "if _, err := p.DeletePrefix(ctx, targets.Scope, prefix); err != nil && false {",
			"TestHoldOfAPrefixThatIsNotEmptied",
		},
		{
			"an index that is complete is not rebuilt", "G9", "lua/rebuild_begin.lua",
			"if complete(KEYS[1]) then return '' end\n", "",
			"TestCompleteIndexIsNotRebuilt",
		},
		{
			"an answer that cannot be parsed is not quoted", "G9", "refusal.go",
			"if !quotes || !strings.HasPrefix(text, library) {", "if true || quotes {",
			"TestErrorsHideKeys",
		},
		{
			"leases are given back, though a client ends the goroutine", "G8 G9", "abandon.go",
			"\t\tif !ended {", "\t\tif !ended && false {",
			"TestGivingBackGoesOnAfterAGoexit",
		},
		{
			"a rebuild whose goroutine a client ends has failed", "G2", "rebuild.go",
			"r.err = clientFailure(nil)", "_ = clientFailure",
			"TestRebuildWhoseClientDoesNotReturn",
		},
		{
			"a reader that leaves takes no round trip along", "G7", "gather.go",
			"ctx: context.WithoutCancel(ctx), done", "ctx: ctx, done",
			"TestGatherContexts",
		},
		{
			"an answer of a round trip wins over the end of a context", "G4", "gather.go",
			"\tcase <-ctx.Done():\n\t}\n\tselect {\n\tcase <-b.done:\n\t\treturn b.results[i]\n\tdefault:\n", "\tcase <-ctx.Done():\n\t}\n\tselect {\n\tdefault:\n",
			"TestGatheredAnswerWins",
		},
		{
			"a reader leaves a round trip by its own context", "G4", "gather.go",
			"case <-ctx.Done():", "case <-make(chan struct{}):",
			"TestGatherContexts",
		},
		{
			"a round trip has the time of its readers", "G4", "gather.go",
			"\tif !b.patient {", "\tif false {",
			"TestGatherContexts",
		},
		{
			"a round trip is bounded", "G4", "gather.go",
			"if len(b.names) == gatherMost {", "if false {",
			"TestGather",
		},
		{
			"a client that Open has made is closed with the store", "G9", "open.go",
			"return p.owned.Close()", "return nil",
			"TestOpenServer",
		},
		{
			"an error of Open has no password", "G10", "open.go",
			"err = cause.Err", "_ = cause",
			"TestOpenErrors",
		},
		{
			"a client that Open has made reads from no replica", "G1", "open.go",
			"if o.ReplicaOnly || o.RouteByLatency || o.RouteRandomly {", "if false {",
			"TestOpenErrors",
		},
	}
}
