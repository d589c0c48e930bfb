#include "guest/kernel/pairing_heap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

namespace guest::kernel {
namespace {

struct Item {
  explicit Item(int number) : key(number) {}
  int key;
  HeapLink<Item> link;
};
bool before(const Item& a, const Item& b) { return a.key < b.key; }
using Heap = PairingHeap<Item, &Item::link, &before>;

std::vector<int> drain(Heap& heap) {
  std::vector<int> keys;
  while (Item* const item = heap.first()) {
    keys.push_back(item->key);
    heap.remove(*item);
    EXPECT_FALSE(item->link.linked);
  }
  return keys;
}

TEST(PairingHeapTest, an_empty_one_has_no_first) {
  Heap heap;
  EXPECT_TRUE(heap.empty());
  EXPECT_EQ(heap.first(), nullptr);
}

TEST(PairingHeapTest, gives_what_was_inserted_in_order) {
  std::deque<Item> items;
  Heap heap;
  for (const int key : {5, 1, 4, 2, 3, 9, 0}) {
    heap.insert(items.emplace_back(key));
  }
  EXPECT_EQ(drain(heap), (std::vector<int>{0, 1, 2, 3, 4, 5, 9}));
}

TEST(PairingHeapTest, any_can_be_removed_and_inserted_again) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    std::deque<Item> items;
    for (int key = 0; key < 64; ++key) {
      items.emplace_back(key);
    }
    Heap heap;
    std::vector<int> inside;
    for (int step = 0; step < 1000; ++step) {
      Item& item = items[random() % items.size()];
      if (item.link.linked) {
        heap.remove(item);
        std::erase(inside, item.key);
      } else {
        heap.insert(item);
        inside.push_back(item.key);
      }
      ASSERT_EQ(heap.empty(), inside.empty()) << "seed " << seed << " step " << step;
      if (!inside.empty()) {
        ASSERT_EQ(heap.first()->key, *std::ranges::min_element(inside)) << "seed " << seed << " step " << step;
      }
    }
    std::ranges::sort(inside);
    EXPECT_EQ(drain(heap), inside) << "seed " << seed;
  }
}

TEST(PairingHeapDeathTest, an_item_is_inserted_once_and_removed_once) {
  Item item(1);
  Heap heap;
  EXPECT_DEATH(heap.remove(item), "not in a heap");
  heap.insert(item);
  EXPECT_DEATH(heap.insert(item), "already");
}

}  // namespace
}  // namespace guest::kernel
