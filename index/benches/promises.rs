//! Does the index keep its promises on real vectors? Prints ratios of times taken side by side.
//!
//! `cargo bench -p sightword-index --features exchange --bench promises -- VECTORS [ROUNDS]` reads the
//! collections `a.npz` and `c.npz` and the queries `captions.npz` and `keywords.npz` that the bench
//! `collections` of the workspace wrote into VECTORS, and builds indexes in a temporary folder there.
//! Every ratio is of two times of one run: what is compared takes turns, and of each query's times the
//! least counts.
#![expect(clippy::print_stdout, reason = "it says what it measured")]

use std::collections::HashSet;
use std::fs::{self, File};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sightword_index::exchange::{Document, npz};
use sightword_index::{
    FieldParams, QueryCut, SearchOptions, SparseQuery, SparseSearcher, SparseVector,
    add_sparse_field, add_vector, create_in_dir, open_in_dir, open_writer, sparse_field,
};
use tantivy::merge_policy::NoMergePolicy;
use tantivy::query::RangeQuery;
use tantivy::schema::{FAST, INDEXED, Schema};
use tantivy::{TantivyDocument, Term};

/// Any error will do: a bench stops at the first.
type Failable<T> = Result<T, Box<dyn std::error::Error>>;

/// What the writer may use before it flushes a segment.
const WRITER_BYTES: usize = 300_000_000;
/// Queries of each kind.
const QUERIES: usize = 200;
const SEGMENTS: usize = 10;
/// How long a batch takes on one thread, at least.
const BATCH: Duration = Duration::from_millis(200);
const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

fn main() -> Failable<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        println!(
            "usage: cargo bench -p sightword-index --features exchange --bench promises -- VECTORS [ROUNDS]"
        );
        return Ok(());
    };
    let rounds = arguments.next().map_or(Ok(7), |rounds| rounds.parse())?;
    let scratch = tempfile::tempdir_in(&folder)?;
    let queries = [queries(&folder, "captions")?, queries(&folder, "keywords")?];
    let mut opened = Vec::new();
    for name in ["a", "c"] {
        let collection = Collection::read(&folder, name)?;
        let one = collection.build(&scratch.path().join(format!("{name}1")), 1)?;
        let many = collection.build(&scratch.path().join(format!("{name}{SEGMENTS}")), SEGMENTS)?;
        sizes(&one, collection.postings())?;
        let (one, many) = (open(&one)?, open(&many)?);
        println!("\n{name}: opening {:.1} ms", milliseconds(opening(one.searcher())?));
        for queries in &queries {
            println!("\n{name}, {}:", queries.name);
            segments(queries, &one, &many, rounds);
            filters(queries, &one, rounds)?;
            threads(queries, &one, rounds);
            approximate(queries, &one, rounds)?;
        }
        opened.push((collection.vectors.len(), one));
    }
    println!();
    queries.iter().for_each(|queries| growth(queries, &opened, rounds));
    Ok(())
}

// --- building ------------------------------------------------------------------------------------

struct Collection {
    name: &'static str,
    vectors: Vec<SparseVector>,
    vocab: u32,
}

impl Collection {
    fn read(folder: &Path, name: &'static str) -> Failable<Self> {
        let start = Instant::now();
        let (documents, vocab) = npz::read(File::open(folder.join(name).with_extension("npz"))?)?;
        let vectors = documents.iter().map(|document| document.quantise(1.0));
        let vectors = vectors.collect::<Result<_, _>>()?;
        println!("\n{name}: read in {:.1} s", start.elapsed().as_secs_f64());
        Ok(Self { name, vectors, vocab })
    }

    fn postings(&self) -> usize {
        self.vectors.iter().map(SparseVector::len).sum()
    }

    /// Builds the index; into one segment, then also without vectors: what tantivy takes alone.
    fn build(&self, directory: &Path, segments: usize) -> Failable<PathBuf> {
        let alone = directory.with_extension("alone");
        if segments == 1 {
            let (seconds, _) = self.write(&alone, 1, false)?;
            println!("{}: tantivy without vectors {seconds:.2} s", self.name);
        }
        let (seconds, peak) = self.write(directory, segments, true)?;
        println!(
            "{}: built in {seconds:.2} s, {:.1} M postings/s, into {segments} segments; peak of memory {}",
            self.name,
            self.postings() as f64 / seconds / 1e6,
            peak.map_or("unknown".to_owned(), |peak| format!(
                "{:.2} × the writer's budget",
                peak as f64 / WRITER_BYTES as f64
            )),
        );
        Ok(directory.to_path_buf())
    }

    fn write(
        &self,
        directory: &Path,
        segments: usize,
        with_vectors: bool,
    ) -> Failable<(f64, Option<u64>)> {
        fs::create_dir(directory)?;
        let start = Instant::now();
        let ((), peak) = peak_while(|| self.write_all(directory, segments, with_vectors))?;
        Ok((start.elapsed().as_secs_f64(), peak))
    }

    fn write_all(&self, directory: &Path, segments: usize, with_vectors: bool) -> Failable<()> {
        let mut schema = Schema::builder();
        let key = schema.add_u64_field("key", INDEXED | FAST);
        let group = schema.add_u64_field("group", INDEXED | FAST);
        let params = FieldParams { vocab: self.vocab, scale: 1.0, model: "bench".to_owned() };
        let field = add_sparse_field(&mut schema, "vector", &params);
        let index = create_in_dir(directory, schema.build())?;
        let mut writer = open_writer(&index, NonZeroUsize::MIN, WRITER_BYTES)?;
        if segments > 1 {
            writer.set_merge_policy(Box::new(NoMergePolicy));
        }
        let part = self.vectors.len().div_ceil(segments) as u64;
        for (number, vector) in (0_u64..).zip(&self.vectors) {
            let mut row = TantivyDocument::new();
            row.add_u64(key, number);
            // A group is spread over all of the index.
            row.add_u64(group, (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 100);
            if with_vectors {
                add_vector(&mut row, field, vector);
            }
            writer.add_document(row)?;
            if segments > 1 && (number + 1).is_multiple_of(part) {
                writer.commit()?;
            }
        }
        writer.commit()?;
        let ids = index.searchable_segment_ids()?;
        if segments == 1 && ids.len() > 1 {
            writer.merge(&ids).wait()?;
        }
        Ok(writer.wait_merging_threads()?)
    }
}

/// The most memory, without mapped files, that the process took on top of what it had. Linux tells.
fn peak_while<T>(work: impl FnOnce() -> Failable<T>) -> Failable<(T, Option<u64>)> {
    let before = anonymous_bytes();
    let (most, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(anonymous_bytes().unwrap_or(0), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    });
    Ok((result?, before.map(|before| most.into_inner().saturating_sub(before))))
}

fn anonymous_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

// --- the files -----------------------------------------------------------------------------------

fn sizes(directory: &Path, postings: usize) -> Failable<()> {
    let (mut inverted, mut forward, mut rest) = (0, 0, 0);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.path().extension().and_then(|ending| ending.to_str()) {
            Some("swx") => inverted += entry.metadata()?.len(),
            Some("swf") => forward += entry.metadata()?.len(),
            _ => rest += entry.metadata()?.len(),
        }
    }
    let bytes = |bytes: u64| bytes as f64 / postings as f64;
    println!(
        "bytes a posting: inverted {:.2}, forward {:.2}, tantivy's {:.2}",
        bytes(inverted),
        bytes(forward),
        bytes(rest)
    );
    Ok(())
}

fn open(directory: &Path) -> Failable<SparseSearcher> {
    let index = open_in_dir(directory)?;
    let (field, _) = sparse_field(&index.schema())?;
    let key = index.schema().get_field("key")?;
    Ok(SparseSearcher::open(&index.reader()?.searcher(), field, key)?)
}

/// From a tantivy searcher to ours, its files in memory: the least of 20 times.
fn opening(searcher: &tantivy::Searcher) -> Failable<Duration> {
    let (field, _) = sparse_field(searcher.schema())?;
    let key = searcher.schema().get_field("key")?;
    let mut least = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        black_box(SparseSearcher::open(searcher, field, key)?);
        least = least.min(start.elapsed());
    }
    Ok(least)
}

// --- searching -----------------------------------------------------------------------------------

struct Queries {
    name: &'static str,
    queries: Vec<SparseQuery>,
}

fn queries(folder: &Path, name: &'static str) -> Failable<Queries> {
    let (documents, _) = npz::read(File::open(folder.join(name).with_extension("npz"))?)?;
    let query = |document: &Document| -> Failable<_> {
        let vector = document.quantise(1.0)?;
        let terms = vector.entries().map(|entry| (entry.token, entry.impact)).collect();
        Ok(SparseQuery::new(terms, vec![])?)
    };
    let queries = documents.iter().take(QUERIES).map(query).collect::<Result<_, _>>()?;
    Ok(Queries { name, queries })
}

/// A searcher and how to search it.
type Way<'a> = (&'a SparseSearcher, SearchOptions<'a>);

/// The mean time of each way over the queries. Ways take turns, each with all queries, so that each
/// finds in the caches what its own queries left; of a query's times the least counts.
fn race<const N: usize>(queries: &Queries, rounds: usize, ways: [Way<'_>; N]) -> [Duration; N] {
    let mut least = vec![[Duration::MAX; N]; queries.queries.len()];
    for _ in 0..rounds {
        for (number, (searcher, options)) in ways.iter().enumerate() {
            for (query, least) in queries.queries.iter().zip(&mut least) {
                let start = Instant::now();
                let _ = black_box(searcher.top(query, options));
                least[number] = least[number].min(start.elapsed());
            }
        }
    }
    let mean = |way: usize| {
        let sum: Duration = least.iter().map(|least| least[way]).sum();
        sum.div_f64(least.len() as f64)
    };
    std::array::from_fn(mean)
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn ratio(time: Duration, to: Duration) -> f64 {
    time.as_secs_f64() / to.as_secs_f64()
}

fn segments(queries: &Queries, one: &SparseSearcher, many: &SparseSearcher, rounds: usize) {
    let options = SearchOptions::default();
    let [single, split] = race(queries, rounds, [(one, options), (many, options)]);
    println!(
        "  {:.1} µs in one segment; in {}: × {:.2}",
        microseconds(single),
        many.stats().segments,
        ratio(split, single)
    );
}

/// Filters let 1, 10 and 50 percent of the documents through, spread over the whole index.
fn filters(queries: &Queries, searcher: &SparseSearcher, rounds: usize) -> Failable<()> {
    let group = searcher.searcher().schema().get_field("group")?;
    for percent in [1, 10, 50] {
        let end = Term::from_field_u64(group, percent);
        let range = RangeQuery::new(Bound::Unbounded, Bound::Excluded(end));
        let start = Instant::now();
        let filter = searcher.filter(&range)?;
        let making = start.elapsed();
        let all = SearchOptions::default();
        let mut some = all;
        some.filter = Some(&filter);
        let [all, some] = race(queries, rounds, [(searcher, all), (searcher, some)]);
        println!(
            "  among {percent} % of the documents: × {:.2} (making the filter {:.2} ms)",
            ratio(some, all),
            milliseconds(making)
        );
    }
    Ok(())
}

/// A batch of so many queries that a thread's start is nothing, on one thread and on two; and what two
/// threads of this machine can do just then.
fn threads(queries: &Queries, searcher: &SparseSearcher, rounds: usize) {
    let options = SearchOptions::default();
    let start = Instant::now();
    black_box(searcher.top_batch(&queries.queries, &options, NonZeroUsize::MIN));
    let times = 1 + BATCH.as_nanos() / start.elapsed().as_nanos().max(1);
    let times = usize::try_from(times).unwrap_or(usize::MAX);
    let batch = queries.queries.iter().cycle().take(times * queries.queries.len());
    let batch: Vec<_> = batch.cloned().collect();
    let mut least = [[Duration::MAX; 2]; 2];
    for _ in 0..rounds {
        for (threads, [search, plain]) in [NonZeroUsize::MIN, TWO].into_iter().zip(&mut least) {
            let start = Instant::now();
            black_box(searcher.top_batch(&batch, &options, threads));
            *search = start.elapsed().min(*search);
            let start = Instant::now();
            arithmetic(threads.get());
            *plain = start.elapsed().min(*plain);
        }
    }
    let [[one, plain], [two, plain_two]] = least;
    println!(
        "  a batch on two threads: {:.2} × as many a second (plain arithmetic: {:.2} ×)",
        ratio(one, two),
        ratio(plain, plain_two)
    );
}

/// Work shared among threads that no memory and no lock can slow down.
fn arithmetic(threads: usize) {
    let work = || {
        let steps = 0..200_000_000 / threads as u64;
        black_box(steps.fold(1_u64, |state, step| state.wrapping_mul(black_box(31)) ^ step));
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
}

/// Query cuts: share of the weight in percent, candidates for each hit.
fn approximate(queries: &Queries, searcher: &SparseSearcher, rounds: usize) -> Failable<()> {
    let exact = SearchOptions::default();
    for (percent, candidates) in [(90, 5), (80, 5), (80, 10), (70, 10), (60, 5)] {
        let mut fast = exact;
        fast.cut = NonZeroUsize::new(candidates).and_then(|many| QueryCut::new(percent, many));
        let [all, some] = race(queries, rounds, [(searcher, exact), (searcher, fast)]);
        let (mut found, mut wanted) = (0, 0);
        for query in &queries.queries {
            let best: HashSet<_> = searcher.top(query, &exact)?.iter().map(|hit| hit.key).collect();
            let hits = searcher.top(query, &fast)?;
            found += hits.iter().filter(|hit| best.contains(&hit.key)).count();
            wanted += best.len();
        }
        println!(
            "  cut at {percent} %, {candidates} candidates a hit: × {:.2}, recall@10 {:.4}",
            ratio(some, all),
            found as f64 / wanted as f64
        );
    }
    Ok(())
}

/// How time grows with documents.
fn growth(queries: &Queries, opened: &[(usize, SparseSearcher)], rounds: usize) {
    let [(few, small), (many, large)] = opened else { return };
    let options = SearchOptions::default();
    let [short, long] = race(queries, rounds, [(small, options), (large, options)]);
    println!(
        "{}: {:.0} × the documents take {:.1} × the time",
        queries.name,
        *many as f64 / *few as f64,
        ratio(long, short)
    );
}
