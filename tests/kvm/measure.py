"""What sisvmm's KVM back end costs, in instructions, beside a program that does the least (raw_kvm).

Under QEMU's `-icount shift=0,sleep=off` the nested host's clock counts instructions, one a nanosecond, so host and load
do not matter. It has one CPU, so that no other one adds to the count.

  start     from before the fork until the guest's PSCI SYSTEM_OFF arrives in user space; the kernel's own tracepoint
            kvm:kvm_userspace_exit tells when, for both programs in the same way
  restore   from before the fork until the restored guest, of 256 MiB, runs its first instruction: the kernel's kvm:kvm_entry
  process   from before the fork until the process is gone; time that it sleeps counts as instructions, too
  rss       peak memory of the process (ru_maxrss): its own and the guest's touched pages
  mmio      from one read of a device register to the next, counted by the guest with its virtual counter, that is,
            the guest's own three instructions included; the difference of a long and a short series of reads

sisvmm is the process that runs a machine, sisvmm-kvm. raw_kvm_same_services is raw_kvm with what the kernel does at each exit because of how sisvmm's machine and process are
made (stolen time, PMU, threads, a filter of system calls): how far sisvmm is from that is its own work.
"""

import pathlib
import re
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nested_host  # noqa: E402

BUILD = nested_host.ROOT / "build/vmm-arm64"
FLOOR = BUILD / "tests/kvm/floor"
ACCESSES = ("2000", "20000")
ROUNDS = 3
COMMANDS = {
    "raw_kvm": "./raw_kvm guest_%s.Image",
    "raw_kvm_same_services": "./raw_kvm guest_%s.Image 3 services",
    # With a vsock device and a console; a boot archive would only be copied into the guest's memory.
    "sisvmm": "./sisvmm-kvm guest_%s.Image --memory 256MiB --vsock /tmp/vsock.sock",
    "sisvmm_no_sandbox": "./sisvmm-kvm guest_%s.Image --memory 256MiB --vsock /tmp/vsock.sock --no-sandbox",
}
# The first run of each is for the caches.
SCRIPT = """
mount -t tracefs none /sys/kernel/tracing || exit
trace=/sys/kernel/tracing
echo mono >$trace/trace_clock
echo 'reason == {system_event}' >$trace/events/kvm/kvm_userspace_exit/filter
for name in {names}; do
  command=$(cat $name.command)
  ./cost 1 out/$name.out $(printf "$command" 0) >/dev/null
  echo >$trace/trace
  echo 1 >$trace/events/kvm/kvm_userspace_exit/enable
  ./cost {runs} out/$name.out $(printf "$command" 0) >out/$name.cost
  echo 0 >$trace/events/kvm/kvm_userspace_exit/enable
  cat $trace/trace >out/$name.trace
  for accesses in {accesses}; do
    for round in {rounds}; do
      $(printf "$command" $accesses) </dev/null >>out/$name.$accesses.console 2>&1
    done
  done
done
"""
# A guest that boots and waits is saved, then restored a number of times; each ends soon by itself.
RESTORE = """
./sisvmm run idle.yaml --name source --backend kvm --kernel sis.Image >out/source 2>&1 &
until ./sisctl snapshot saved >out/saved 2>&1; do kill -0 $! || exit 1; sleep 0.1; done
./sisctl shutdown >>out/saved && wait $! || exit 1
for round in $(seq {runs_and_one}); do
  echo >$trace/trace
  echo 1 >$trace/events/kvm/kvm_entry/enable
  echo traceoff:1 >$trace/events/kvm/kvm_entry/trigger
  ./cost 1 out/restore.out ./sisvmm-kvm --restore saved --vsock /tmp/vsock.sock --timeout 0.1 >>out/restore.cost
  cat $trace/trace >>out/restore.trace
  echo 0 >$trace/events/kvm/kvm_entry/enable
  echo '!traceoff' >$trace/events/kvm/kvm_entry/trigger
  echo 1 >$trace/tracing_on
done
"""
IDLE = "apiVersion: sis/v1\nname: idle\nmachine: {memory: 256MiB}\n"
KVM_EXIT_SYSTEM_EVENT = 24
ENTRY = re.compile(r"(\d+)\.(\d{6}): kvm_entry:")
POWER_OFF = re.compile(r"(\d+)\.(\d{6}): kvm_userspace_exit: reason KVM_EXIT_SYSTEM_EVENT")
DIGITS = re.compile(r"^([0-9a-f]{16})\r?$", re.MULTILINE)
TICK = 16  # instructions a tick of the virtual counter: 62.5 MHz
# What one read of the guest's is multiplied by before it prints the ticks.
SCALE = 65536


def files():
    result = {name: FLOOR / name for name in ("raw_kvm", "cost")}
    result.update(nested_host.monitor())
    result["sisctl"] = nested_host.stripped(BUILD / "tools/sisctl")
    result["sis.Image"] = nested_host.ROOT / "build/guest/sis.Image"
    result["idle.yaml"] = IDLE.encode()
    for accesses in ("0", *ACCESSES):
        result[f"guest_{accesses}.Image"] = FLOOR / f"guest_{accesses}.Image"
    for name, command in COMMANDS.items():
        result[f"{name}.command"] = command.encode()
    return result


def costs(path):
    """Lines of `cost` as tuples (exit code, begin, wall time, peak memory in KiB)."""
    return [tuple(int(word) for word in line.split()) for line in path.read_text().splitlines()]


def starts(out, name):
    """Of each run: instructions from the fork until the guest powered off and until the end, and the peak in KiB."""
    ends = [int(seconds) * 1_000_000_000 + int(micros) * 1000
            for seconds, micros in POWER_OFF.findall((out / f"{name}.trace").read_text())]
    runs = costs(out / f"{name}.cost")
    if len(ends) != len(runs):
        raise RuntimeError(f"{len(runs)} runs of {name}, but {len(ends)} guests that powered off: "
                           + (out / f"{name}.out").read_text(errors="replace")[-1000:])
    return [end - run[1] for end, run in zip(ends, runs)], [run[2] for run in runs], [run[3] for run in runs]


def restores(out):
    """Instructions from the fork until a restored guest runs; the first one is for the caches."""
    entries = [int(seconds) * 1_000_000_000 + int(micros) * 1000
               for seconds, micros in ENTRY.findall((out / "restore.trace").read_text())]
    runs = costs(out / "restore.cost")
    if len(entries) != len(runs) or not runs:
        raise RuntimeError(f"{len(runs)} restored guests, of which {len(entries)} ran: "
                           + (out / "restore.out").read_text(errors="replace")[-1000:])
    return [entry - run[1] for entry, run in zip(entries, runs)][1:], [run[3] for run in runs][1:]


def accesses(out, name):
    """Instructions of one read: of each round the difference of a long and a short series."""
    totals = []
    for count in ACCESSES:
        console = (out / f"{name}.{count}.console").read_text(errors="replace")
        found = [int(digits, 16) for digits in DIGITS.findall(console)]
        if len(found) != ROUNDS:
            raise RuntimeError(f"the guest of {name} printed {len(found)} figures in {ROUNDS} runs: {console[-500:]!r}")
        totals.append([value * TICK / SCALE * int(count) for value in found])
    return [(long - short) / (int(ACCESSES[1]) - int(ACCESSES[0])) for short, long in zip(*totals)]


def figure(name, unit, values, **extra):
    return {"name": name, "unit": unit, "value": statistics.median(values), "min": min(values), "max": max(values),
            "samples": values, **extra}


def measure(runs):
    """Results of one run of the nested host, in the form of bench.py."""
    script = SCRIPT.format(names=" ".join(COMMANDS), runs=runs, accesses=" ".join(ACCESSES),
                           rounds=" ".join(str(i) for i in range(ROUNDS)), system_event=KVM_EXIT_SYSTEM_EVENT)
    script += RESTORE.format(runs_and_one=runs + 1)
    options = nested_host.Options(cpus=1, icount=True)
    with nested_host.run(["sh", "-c", script], files(), options) as done:
        if done.code != 0:
            raise RuntimeError(f"the measurement ended with {done.code}: {done.stderr[-1000:]}")
        start, process, rss, mmio = {}, {}, {}, {}
        for name in COMMANDS:
            start[name], process[name], rss[name] = starts(done.out, name)
            mmio[name] = accesses(done.out, name)
        restore, restore_rss = restores(done.out)
    results = [figure("kvm_restore_sisvmm", "instructions", restore),
               figure("kvm_restore_peak_rss_sisvmm", "KiB", restore_rss)]
    for name in COMMANDS:
        results += [figure(f"kvm_start_{name}", "instructions", start[name]),
                    figure(f"kvm_process_{name}", "instructions", process[name]),
                    figure(f"kvm_peak_rss_{name}", "KiB", rss[name]),
                    figure(f"kvm_mmio_exit_{name}", "instructions", mmio[name])]
    ratios = [("restore", restore, start["sisvmm"], "at most 2 starts")]
    for name, floor in (("sisvmm", "raw_kvm"), ("sisvmm_no_sandbox", "raw_kvm"), ("sisvmm", "raw_kvm_same_services")):
        suffix = name.removeprefix("sisvmm") + floor.removeprefix("raw_kvm")
        ratios += [(f"start{suffix}", start[name], start[floor], "at most 1.6"),
                   (f"process{suffix}", process[name], process[floor], None),
                   (f"mmio_exit{suffix}", mmio[name], mmio[floor], "at most 1.04")]
    for what, values, floor, target in ratios:
        ratio = statistics.median(values) / statistics.median(floor)
        results.append({"name": f"kvm_{what}_ratio", "unit": "ratio", "value": ratio,
                        **({"target": target} if target else {})})
    return results
