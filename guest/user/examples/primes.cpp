// Works and sleeps in turns: counts the primes below ever larger bounds and compares with the prime number theorem.
#include <time.h>

#include <cmath>
#include <cstdio>

namespace {

/// A buffer that ends with its scope.
class Flags {
 public:
  explicit Flags(unsigned count) : flags_(new bool[count]()) {}
  ~Flags() { delete[] flags_; }
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;
  bool& operator[](unsigned long index) { return flags_[index]; }

 private:
  bool* flags_;
};

unsigned count_primes_below(unsigned bound) {
  Flags composite(bound);
  unsigned count = 0;
  for (unsigned i = 2; i < bound; ++i) {
    if (composite[i]) {
      continue;
    }
    ++count;
    for (unsigned long multiple = static_cast<unsigned long>(i) * i; multiple < bound; multiple += i) {
      composite[multiple] = true;
    }
  }
  return count;
}

}  // namespace

int main() {
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 10'000'000};
  for (unsigned bound = 100; bound <= 100'000; bound *= 10) {
    const unsigned primes = count_primes_below(bound);
    const double expected = bound / std::log(bound);
    std::printf("%u primes below %u, %.1f%% more than n / ln n\n", primes, bound, 100.0 * (primes / expected - 1.0));
    nanosleep(&kPause, nullptr);
  }
}
