// Package spool is the bridge's durable queue: what it has taken, it does not lose.
//
// # Contract
//
// [Spool.Append] queues an entry. When its receipt says so, the entry is on stable
// storage: it will be given to [Spool.Next], in this run or after a restart, until
// [Spool.Done] has said what became of it. One write and one sync serve all entries
// that were appended while the previous sync was under way.
//
// A mark made by Done is written with the next group, or soon, and nobody waits for
// it. When it is lost the entry is simply given out again, so whoever reads the
// spool must be able to handle an entry twice.
//
// When a group can't be stored, its receipts are told, its marks go with the next one,
// and the writer pauses, longer each time up to 16 times Config.MarkDelay; entries
// appended meanwhile wait for the next try. [Stats] says why and for how long.
//
// [Spool.Counts] satisfy, at every moment and after every crash,
//
//	Received = Committed + Duplicate + DeadLettered + Spooled
//
// where Spooled is counted in the segments, apart from the others, so that
// [Counts.Balanced] is a check and not a definition.
//
// # Files
//
// The spool is a chain of segment files, <16 hex digits>.seg, each a sequence of
// frames:
//
//	u32le length of kind and body | u32le CRC-32C of kind and body | u8 kind | body
//
// and these kinds (integers are little-endian, uvarint where no width is given):
//
//	1 header  u64 segment, u64 previous segment (0: none), u64 its valid length,
//	          u64 next sequence, u64 received, u64 committed, u64 duplicate,
//	          u64 dead-lettered: the counts at the segment's begin
//	2 entry   u64 sequence, i64 time, u16 len, topic, payload
//	3 marks   u8 outcome, u16 count, count x (distance from the end of the last run,
//	          length of the run - 1)
//	4 copy    an entry again, moved here so that an old segment could be deleted
//
// The first frame is the header. A segment is valid up to the length that its
// successor names; the newest up to its first broken frame. What lies beyond, and
// files that the chain does not reach, were never acknowledged: a write or sync
// that fails ends a segment, and the next one names how much of it counts.
//
// # Space
//
// Only the oldest segment can be deleted, when all its entries are marked or copied:
// the others have marks of entries in those before them. A half full spool copies
// what is undecided in the oldest segment to the newest when that is at most a
// quarter of it. From three quarters on it copies whatever is there, so that it gets
// to the space behind, as long as undecided entries are at most three quarters of
// what the segments hold: no more than three bytes are then copied for one that is
// freed. So [ErrFull] lasts only when undecided entries fill about three quarters of
// Config.MaxBytes. Copies are written with a group, a quarter of a segment at most,
// and synced before the segment they come from is deleted.
package spool
