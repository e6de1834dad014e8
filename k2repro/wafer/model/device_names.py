"""Which device a name means: people and rate tables spell them in many ways.

"NVIDIA GeForce RTX 4090" is the RTX4090; "RTX 4090 Laptop", "4090D" and "H100 NVL" are other parts
with other bandwidths and never taken for it.
"""

import functools
import re
from dataclasses import replace

from k2repro.errors import K2ReproError, unknown
from k2repro.wafer.model.aliases import load_names
from k2repro.wafer.model.devices import Device, load_devices

_NOISE = re.compile(
    r"nvidia|geforce|tesla|amd|radeon|cerebras|google|instinct|intel"
    r"|macbook (pro|air)|mac (studio|mini|pro)|imac|[^a-z0-9]"
)
# Chips that are sold with fewer GPU cores and a narrower memory: (name, most such cores) -> GB/s.
_NARROWER = {("Apple-M3Max", 30): 300.0, ("Apple-M4Max", 32): 410.0}
# Memory sizes that are sold with the narrower chip only (Apple's configurations, recalled) -> its GPU cores.
_NARROW_MEMORY = {("Apple-M3Max", 36): 30, ("Apple-M3Max", 96): 30, ("Apple-M4Max", 36): 32}
# What follows a known name and makes another part of it: RTX 3080 Ti, M4 Max, RTX 4090 D, RX 7900 XTX.
_OTHER_PART = re.compile(r"^(ti|super|max|pro|ultra|d$|xt|gre|ada|nvl|s$)|laptop|mobile|maxq|notebook")


@functools.cache
def _aliases() -> dict[str, str]:
    """Other names in folded form, and those of Apple's chips, to names of hardware.csv."""
    chips = [
        (f"m{generation}{kind}", f"Apple-M{generation}{kind.capitalize()}")
        for generation in (1, 2, 3, 4, 5)
        for kind in ("", "pro", "max", "ultra")
        if not (generation >= 4 and kind == "ultra")
    ]
    return load_names()["devices"] | dict(chips)


def _fold(name: str) -> str:
    """Lower case without vendor words and punctuation: "NVIDIA GeForce RTX 4090" -> rtx4090."""
    return _NOISE.sub("", name.lower())


def split_count(name: str) -> tuple[int, str]:
    """(how many, which) of "8xH100", "4x H100-SXM5-80GB", "H100 x8" or "H100x8"; (1, name) otherwise."""
    found = re.fullmatch(r"\s*(\d+)\s*[x×*]\s*(\S.*)", name, re.IGNORECASE)
    if found:
        return int(found[1]), found[2]
    # Without a space only after a digit or a size: GTX1080 is one card.
    found = re.fullmatch(r"\s*(\S.*?)(?:\s+|(?<=\d)-?|(?<=gb)-?)[x×*]\s*(\d+)\s*", name, re.IGNORECASE)
    return (int(found[2]), found[1]) if found else (1, name)


def match_device(name: str) -> Device | None:
    """The device that a name means, or None.

    Vendor words, spaces and hyphens do not matter. Variants carry their number of GPU cores
    (`Apple-M2Ultra-76c`) or the half of a package that was used (`MI250X-GCD`).
    """
    folded = {_fold(key): device for key, device in load_devices().items()}
    key = _fold(name)
    if key.endswith("gcd") and key[:-3] in folded:
        return _half_package(folded[key[:-3]], name)
    device = folded.get(_fold(_aliases().get(key, key)))
    if device is not None:
        return device
    cores = re.fullmatch(r"(.+)-(\d+)c(?:ores?)?", name.strip(), re.IGNORECASE)
    if cores and _fold(cores[1]) in folded:
        return _cut(folded[_fold(cores[1])], name, int(cores[2]))
    return None


def _cut(device: Device, name: str, cores: int) -> Device:
    """The chip with so many GPU cores, and the bandwidth of that version where it has its own."""
    narrow = [gbs for (key, most), gbs in _NARROWER.items() if key == device.name and cores <= most]
    bandwidth = narrow[0] if narrow else device.bandwidth_gbs
    return replace(device, name=name, execution_units=cores, bandwidth_gbs=bandwidth)


def match_variant(name: str) -> Device | None:
    """Like `match_device`, and also variants that a table of rates may name.

    "4x H100-SXM5-80GB" means the H100-SXM; "L40" does not mean the L4, "RTX 4090 Laptop" not the
    RTX4090, and "Apple-M2Max-CPU" not the GPU of that chip.
    """
    name = split_count(name)[1]
    device = match_device(name)
    if device is not None:
        return device
    name = re.sub(r"\bmobile\b", "Laptop", name, flags=re.IGNORECASE)
    on_cpu = re.search(r"\bcpu\b", name, re.IGNORECASE) is not None
    key = _fold(re.sub(r"\bcpu\b|[-_ ]\d+ ?gb", "", name, flags=re.IGNORECASE))
    known = {_fold(known): known for known in load_devices()} | {_fold(a): d for a, d in _aliases().items()}
    for start in sorted((s for s in known if len(s) > 1 and key.startswith(s)), key=len, reverse=True):
        rest = key[len(start) :]
        found = None if start[-1].isdigit() and rest[:1].isdigit() else match_device(known[start])
        if found is None or (found.device_class == "cpu") != on_cpu:
            continue
        return None if _OTHER_PART.search(rest) else _with_cores(found, name)
    return match_device("Strix-Halo-CPU") if on_cpu and key.startswith("strixhalo") else None


def _with_cores(device: Device, name: str) -> Device:
    """An Apple chip with the number of GPU cores that the name states ("40-core GPU")."""
    cores = re.search(r"(\d+)[- ]?c(?:ores?)?\b", name, re.IGNORECASE)
    if device.device_class != "soc" or cores is None:
        return device
    return _cut(device, name, int(cores[1]))


# First the words of graphics cards: a card in a Raspberry Pi is a card.
_CLASS_WORDS = (
    ("wafer", r"\bwse|cerebras"),
    ("soc", r"apple|macbook|mac studio|mac mini|iphone|ipad|\ba1\d\b|\bm[1-9]\b( ?(pro|max|ultra))?"),
    (
        "gpu",
        r"\brtx|\bgtx|radeon|geforce|\barc\b|\barc-|\brx ?\d|strix|\bmi\d{2,3}|\bh[12]00|\ba100|\bb[23]00"
        r"|jetson|\bgpu\b|egpu|\b(?:[78]90m|[78]80m|80[56]0s)\b",
    ),
    (
        "cpu",
        r"ryzen|xeon|epyc|core[ -](i\d|ultra)|\bi[3579]-|threadripper|\bddr|graviton|raspberry|snapdragon"
        r"|ampere(one| altra)|risc-?v|hifive|rockchip|rk35|orange ?pi|radxa|\bn100\b|celeron|opteron|altra",
    ),
    ("tpu", r"\btpu|trainium|inferentia|\btrn\d|\binf\d"),
    ("lpu", r"\blpu|groq"),
    ("rdu", r"sn40|sambanova"),
)


def guess_class(name: str, framework: str = "") -> str:
    """The kind of a device that is not in the table, from the words in its name ("gpu" if none)."""
    text = name.lower().replace("_", " ")
    if re.search(r"\bcpu\b", f"{text} {framework.lower()}".replace("-", " ")):
        return "cpu"
    return next((kind for kind, words in _CLASS_WORDS if re.search(words, text)), "gpu")


def guess_vendor(name: str) -> str:
    """Who makes a device that is not in the table: "NVIDIA", "AMD", "Apple", "Intel" or ""."""
    text = name.lower()
    words = {
        "NVIDIA": r"nvidia|geforce|\brtx|\bgtx|tesla|quadro|\bh[12]00|\ba100|\bb[123]00|\bgb\d|jetson",
        "AMD": r"\bamd|radeon|\bmi\d{2,3}|\brx ?\d|strix|ryzen|epyc",
        "Apple": r"apple|mac",
        "Intel": r"intel|\barc\b|\barc-|core[ -]ultra|xeon",
    }
    return next((vendor for vendor, pattern in words.items() if re.search(pattern, text)), "")


def _half_package(device: Device, name: str) -> Device:
    peaks = {key: value / 2 for key, value in device.peak_tflops.items()}
    units = device.execution_units
    return replace(
        device,
        name=name,
        bandwidth_gbs=device.bandwidth_gbs / 2,
        capacity_gb=device.capacity_gb / 2,
        peak_tflops=peaks,
        tdp_w=None if device.tdp_w is None else device.tdp_w / 2,
        execution_units=None if units is None else units // 2,
    )


def _match_spelled(name: str) -> Device | None:
    """A device by any spelling that a table of rates may have, with the memory that the name states.

    A row of a table carries its own bandwidth; a person who asks does not. Cards of one name and
    two memory sizes often differ in bandwidth, so another size is another card. Memory that a
    processor shares is sold in many sizes and mostly in one bandwidth; sizes that come with a narrower
    chip only are that chip.
    """
    found, stated = match_variant(name), re.search(r"(\d+) ?gb\b", name, re.IGNORECASE)
    if found is None or stated is None or abs(float(stated[1]) / found.capacity_gb - 1.0) < 0.1:
        return found
    if not found.memory_type.startswith("LPDDR") or float(stated[1]) > found.capacity_gb:
        return None
    cores = _NARROW_MEMORY.get((found.name, int(stated[1])))
    found = found if cores is None else _cut(found, name, cores)
    return replace(found, capacity_gb=float(stated[1]))


def find_device(name: str) -> Device:
    """The device of that name; K2ReproError with near names when it is not known, or for several devices."""
    device, (count, which) = match_device(name), split_count(name)
    if device is None and count != 1:
        raise K2ReproError(
            f"device {name!r} names {count} devices and a device is one; say {which!r} and devices={count}"
        )
    device = device or _match_spelled(name)
    if device is None:
        raise unknown("device", name, load_devices())
    return device
