#!/usr/bin/env bash
# Checks lease.pml and near.pml with spin, exhaustively: bash docs/model/check.sh [--full]
#
# Every configuration of the protocol must be without an error, every variant that
# lacks a mechanism must have a counterexample, and what must be possible must
# happen. The counterexamples are the shortest ones. --full adds configurations that
# take minutes, one after the other, with up to 7.5 GB.
#
# It needs spin and gcc, uses two processors, and leaves nothing behind. With
# KEEP=DIR the counterexamples are kept there, as texts.
set -euo pipefail

models=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly models
workers=2
keep=${KEEP:-}
full=false
case ${1:-} in
--full)
	full=true
	workers=1 # the memory of one
	;;
"") ;;
*)
	echo "usage: $0 [--full]" >&2
	exit 2
	;;
esac

for tool in spin gcc; do
	command -v "$tool" >/dev/null || {
		echo "$tool is missing" >&2
		exit 1
	}
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Tables: name, expected (holds, fails, happens), definitions.
join='READERS_A=1 READERS_B=2 INVAL_A=1'
two='READERS_B=2 INVAL_A=1 INVAL_B=1'
one='READERS_B=2 INVAL_B=1'
refresh='READERS_B=2 REFRESH_B=1 INVAL_A=1 HOW=2'
swap='READERS_A=1 REFRESH_B=1 INVAL_A=1'
pending='READERS_A=1 READERS_B=1 INVAL_A=2 FAULTS'
prefix='READERS_B=1 PREFIX_A=1 PREFIX_B=1 INDEX'
lost='READERS_A=1 READERS_B=1 PREFIX_A=1 INDEX FAULTS'
mutate='READERS_A=1 READERS_B=2 MUTATE_A=2'
held='READERS_B=2 MUTATE_A=1 INVAL_B=1'
put='READERS_A=1 READERS_B=1 PUT_B=1'
# Rows whose names begin with "near" are of near.pml.
nearOwn='READS_A=2 READS_B=0 WRITES=1 BEATS=0 END=1'
nearCold='COLD READS_B=2 WRITES=1 BEATS=0 END=1'
nearLoss='READS_B=1 WRITES=1 BEATS=1 END=4 LOSS'
nearServer='READS_B=1 WRITES=1 BEATS=0 END=3 LOSS NEW_SERVER'

table=$(
	cat <<END
join                holds   $join
two invalidations   holds   $two
one process         holds   $one
refresh             holds   $refresh
refresh, shared     holds   READERS_A=1 READERS_B=1 REFRESH_B=1 INVAL_A=1 HOW=2
refresh, both       holds   READERS_B=1 REFRESH_A=1 REFRESH_B=1 INVAL_A=1 HOW=2
pending             holds   $pending
pending, writers    holds   READERS_A=2 INVAL_A=1 INVAL_B=1 FAULTS
pending, prefix     holds   READERS_A=1 READERS_B=1 INVAL_A=1 PREFIX_A=1 FAULTS
prefix              holds   $prefix
prefix, lost        holds   $lost
mutate, prefix      holds   $mutate
mutate, key         holds   $held
put                 holds   $put
put, invalidation   holds   $put INVAL_A=1
crash               holds   READERS_A=1 READERS_B=1 INVAL_A=1 CRASH FAULTS
crash, restart      holds   READERS_A=2 INVAL_A=1 CRASH FAULTS

late joiner         happens $join SEEN_LATE_JOINER
refreshed           happens $refresh SEEN_REFRESH
recovered           happens $pending SEEN_RECOVERY
rebuilt             happens $prefix SEEN_REBUILD
rebuilt after loss  happens $lost SEEN_REBUILD
put stored          happens $put SEEN_PUT

no bound            fails   $join BAD_NO_BOUND
found unbound       fails   $join BAD_FOUND_UNBOUND
fill window         fails   $join BAD_FILL_WINDOW
fence before only   fails   $one BAD_NO_BOUND BAD_FENCE_BEFORE_ONLY
fence alone         holds   $one BAD_NO_BOUND
token per client    fails   $two BAD_TOKEN_PER_CLIENT
token by client     fails   $join BAD_TOKEN_BY_CLIENT
fill unchecked      fails   $join BAD_FILL_UNCHECKED
lease left alone    fails   $join BAD_INVALIDATION_LEAVES_LEASE
fill by LoadedAt    fails   $swap BAD_LOADED_AT
spare of flight     fails   $refresh BAD_SPARE_OF_FLIGHT
read while pending  fails   $pending BAD_READ_WHILE_PENDING
all versions        fails   $pending BAD_CONFIRMS_ALL_VERSIONS
incomplete trusted  fails   $prefix BAD_INCOMPLETE_TRUSTED
listed if complete  fails   $prefix BAD_LISTED_WHEN_COMPLETE
rebuild unchecked   fails   $prefix BAD_REBUILD_UNCHECKED
rebuild by client   fails   $prefix BAD_REBUILD_TOKEN_BY_CLIENT
hold ignored        fails   $mutate BAD_HOLD_IGNORED
hold after removal  fails   $mutate BAD_HOLD_AFTER_REMOVAL
hold dropped        fails   $held BAD_INVALIDATION_DROPS_HOLD
put unconfirmed     fails   $put BAD_PUT_UNCONFIRMED

near, own           holds   $nearOwn
near, cold          holds   $nearCold
near, loss          holds   $nearLoss
near, two           holds   READS_B=1 WRITES=2 BEATS=0 END=2 LOSS
near, new server    holds   $nearServer
near, bounded       holds   $nearLoss BOUNDED

near, local first   fails   $nearOwn BAD_LOCAL_FIRST
near, no fence      fails   $nearCold BAD_NO_FENCE
near, ack first     fails   READS_B=1 WRITES=1 BEATS=0 END=1 BAD_ACK_BEFORE_DROP
near, no birth      fails   $nearServer BAD_NO_BIRTH
near, gap ignored   fails   $nearLoss BAD_BEAT_WITH_GAP
near, gap, bounded  fails   $nearLoss BOUNDED BAD_BEAT_WITH_GAP
near, from answer   fails   $nearLoss BAD_DEADLINE_FROM_ANSWER
near, deadline last fails   $nearLoss BAD_DEADLINE_AFTER
END
)
if $full; then
	table+=$'\n'$(
		cat <<END
fill while pending  holds   $pending BAD_FILL_WHILE_PENDING
crash, large        holds   READERS_A=2 READERS_B=1 INVAL_A=1 CRASH FAULTS
prefix, large       holds   READERS_A=1 READERS_B=1 PREFIX_A=1 PREFIX_B=1 INDEX
mutate, large       holds   READERS_A=1 READERS_B=1 MUTATE_A=2 INVAL_B=1
two, large          holds   READERS_A=1 READERS_B=2 INVAL_A=1 INVAL_B=1
END
	)
fi

# check NUMBER NAME EXPECTED DEFINITION... runs one row and writes its line.
check() {
	local number=$1 name=$2 expected=$3 at="$dir/$1" definition
	shift 3
	local definitions=() flags=() search=(-O2 -DCOLLAPSE)
	for definition in "$@"; do
		definitions+=("-D$definition")
		# What a crashed process was doing stays undone: that is no deadlock.
		if [ "$definition" = CRASH ]; then flags+=(-E); fi
	done
	local model=lease.pml
	if [[ $name == near* ]]; then model=near.pml flags+=(-E); fi # time ends, and who waits for it
	if [ "$expected" != holds ]; then search=(-O1 -DBFS); fi # the shortest way there
	mkdir "$at"
	cd "$at"
	cp "$models/$model" model.pml
	if ! { spin -a "${definitions[@]}" model.pml && gcc -O1 -w -DSAFETY "${search[@]}" -DMEMLIM=7500 -o pan pan.c; } >build 2>&1; then
		printf '%s\t%s\tNOT BUILT\t-\t-\t-\n' "$name" "$expected" >line
		return
	fi
	./pan -m200000 "${flags[@]}" >out 2>&1 || true
	local errors states depth seconds result
	errors=$(sed -nE 's/.*errors: ([0-9]+).*/\1/p' out)
	states=$(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' out)
	depth=$(sed -nE 's/.*depth reached ([0-9]+).*/\1/p' out)
	seconds=$(sed -nE 's/.*elapsed time ([0-9.]+).*/\1/p' out)
	if grep -q 'assertion violated' out && [ "$errors" = 1 ] && [ -s model.pml.trail ]; then
		result=fails
		if [ "$expected" = happens ]; then result=happens; fi
		if [ -n "$keep" ]; then spin -t -p -g -l "${definitions[@]}" model.pml >"$keep/${name//[ ,]/_}.txt" || true; fi
	elif [ "$errors" = 0 ] && grep -q '^Full statespace search' out &&
		! grep -Eq 'Search not completed|max search depth too small|reached -DMEMLIM|out of memory|hash-compact|[Bb]it statespace' out; then
		result=holds
	else
		result='NOT CHECKED'
		tail -n 20 out >&2
	fi
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$expected" "$result" "$states" "$depth" "$seconds" >line
	rm -f pan pan.* # as much as hundreds of megabytes would be in memory only
}

began=$SECONDS
number=0
while IFS= read -r row; do
	[ -n "$row" ] || continue
	number=$((number + 1))
	name=${row:0:20}
	name=${name%"${name##*[! ]}"}
	read -r expected definitions <<<"${row:20}"
	# Definitions have no spaces.
	# shellcheck disable=SC2086
	check "$number" "$name" "$expected" $definitions &
	while [ "$(jobs -rp | wc -l)" -ge "$workers" ]; do wait -n; done
done <<<"$table"
wait

code=0
printf '%-20s %-8s %-12s %10s %7s %8s\n' configuration expected result states depth seconds
for i in $(seq "$number"); do
	IFS=$'\t' read -r name expected result states depth seconds <"$dir/$i/line"
	mark=''
	if [ "$result" != "$expected" ]; then
		code=1
		mark='  <- wrong'
	fi
	printf '%-20s %-8s %-12s %10s %7s %8s%s\n' "$name" "$expected" "$result" "$states" "$depth" "$seconds" "$mark"
done
echo "$number configurations in $((SECONDS - began)) s"
exit $code
