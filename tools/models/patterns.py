"""Test patterns, as guest/graph/operators/src/pattern.hpp describes them: the same images, element for element."""

MASK = 2**64 - 1
SIDES = (32, 43, 64)
CLASSES = ("gradient", "checker", "bars", "circle")


def mix(state):
    """SplitMix64's output for a state."""
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def random_at(seed, index):
    return mix(mix(seed) ^ index)


class Picture:
    """One image's picture: a value for each point of 256 by 256."""

    def __init__(self, label, seed, number):
        self.label = label
        self.bits = random_at(seed, number)
        self.direction = self.below(8)
        self.side = SIDES[self.below(3)]
        self.phase_x, self.phase_y = self.below(128), self.below(128)
        self.dark = self.below(64)
        self.bright = 255 - self.below(64)
        self.radius = 40 + self.below(48)
        self.centre = (96 + self.phase_x // 2, 96 + self.phase_y // 2)

    def below(self, count):
        value = (self.bits & 0xFF) * count >> 8
        self.bits >>= 8
        return value

    def at(self, x, y):
        cell_x, cell_y = (x + self.phase_x) // self.side, (y + self.phase_y) // self.side
        if self.label == 0:
            across = 255 - x if self.direction & 1 else x
            down = 255 - y if self.direction & 2 else y
            if self.direction & 4:
                return (across + down) // 2
            return down if self.direction & 2 else across
        if self.label == 1:
            return self.bright if (cell_x + cell_y) % 2 else self.dark
        if self.label == 2:
            return self.bright if (cell_y if self.direction % 2 else cell_x) % 2 else self.dark
        away = (x - self.centre[0]) ** 2 + (y - self.centre[1]) ** 2
        return self.bright if away <= self.radius**2 else self.dark


def draw(label, seed, number, side, noise):
    """Image `number` as a list of side * side elements, row by row."""
    picture = Picture(label, seed, number)
    scale = [(2 * i + 1) * 128 // side for i in range(side)]
    values = [picture.at(x, y) for y in scale for x in scale]
    if noise:
        noise_seed = mix(seed) ^ number
        values = [v + random_at(noise_seed, i) % (2 * noise + 1) - noise for i, v in enumerate(values)]
    return [min(max(v, 0), 255) for v in values]
