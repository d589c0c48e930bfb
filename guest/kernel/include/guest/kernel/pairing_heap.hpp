// A priority queue through links inside of its members: no memory of its own and no limit, any of them can be removed.
// Fredman, Sedgewick, Sleator and Tarjan, "The Pairing Heap: A New Form of Self-Adjusting Heap" (1986): insertion in
// constant time, removal in O(log n) on average over all operations.
#pragma once

#include "guest/kernel/panic.hpp"

namespace guest::kernel {

template <typename T>
struct HeapLink {
  // All null outside of a heap.
  T* child = nullptr;     ///< the first of them
  T* sibling = nullptr;   ///< the next child of the parent
  T* previous = nullptr;  ///< the sibling before, or the parent of the first child
  bool linked = false;
};

/// `Before(a, b)`: a strict order, of which the heap gives the first. A T is in at most one heap for each of its links,
/// and its place in the order does not change there.
template <typename T, HeapLink<T> T::* Member, bool (*Before)(const T&, const T&)>
class PairingHeap {
 public:
  [[nodiscard]] bool empty() const { return root_ == nullptr; }
  /// Null: there is none.
  [[nodiscard]] T* first() const { return root_; }

  void insert(T& item) {
    HeapLink<T>& at = link(item);
    require(!at.linked, "an item is in a heap already");
    at.linked = true;
    root_ = root_ == nullptr ? &item : meld(root_, &item);
  }
  /// Takes the first out, which there is, and returns it.
  T& pop_first() {
    T& item = *root_;
    HeapLink<T>& at = link(item);
    at.linked = false;
    root_ = at.child == nullptr ? nullptr : take_children(at);
    return item;
  }
  /// Of an item of this heap.
  void remove(T& item) {
    HeapLink<T>& at = link(item);
    require(at.linked, "an item to be removed is not in a heap");
    at.linked = false;
    if (&item != root_) {
      cut(item);
      if (at.child != nullptr) {
        root_ = meld(root_, take_children(at));
      }
    } else {
      root_ = at.child == nullptr ? nullptr : take_children(at);
    }
  }

 private:
  static HeapLink<T>& link(T& item) { return item.*Member; }

  /// One tree of what lies below an item that is taken out.
  [[gnu::noinline]] static T* take_children(HeapLink<T>& of) {
    T* const children = of.child;
    of.child = nullptr;
    return join_siblings(children);
  }

  /// Of two roots the later one becomes the first child of the other, which is returned.
  static T* meld(T* a, T* b) {
    if (Before(*b, *a)) {
      T* const swapped = a;
      a = b;
      b = swapped;
    }
    link(*b).sibling = link(*a).child;
    link(*b).previous = a;
    if (link(*a).child != nullptr) {
      link(*link(*a).child).previous = b;
    }
    link(*a).child = b;
    return a;
  }

  /// Makes one tree of a list of siblings: melds them in pairs from the first on, then the pairs from the last back.
  static T* join_siblings(T* first) {
    T* pairs = nullptr;  // the last one first, by `sibling`
    while (first != nullptr) {
      T* const a = first;
      T* const b = link(*a).sibling;
      first = b == nullptr ? nullptr : link(*b).sibling;
      make_root(*a);
      T* pair = a;
      if (b != nullptr) {
        make_root(*b);
        pair = meld(a, b);
      }
      link(*pair).sibling = pairs;
      pairs = pair;
    }
    T* root = nullptr;
    while (pairs != nullptr) {
      T* const pair = pairs;
      pairs = link(*pair).sibling;
      make_root(*pair);
      root = root == nullptr ? pair : meld(pair, root);
    }
    return root;
  }

  static void make_root(T& item) {
    link(item).sibling = nullptr;
    link(item).previous = nullptr;
  }

  /// Takes `item`, which has a parent, and what lies below it out.
  static void cut(T& item) {
    HeapLink<T>& at = link(item);
    HeapLink<T>& before = link(*at.previous);
    (before.child == &item ? before.child : before.sibling) = at.sibling;
    if (at.sibling != nullptr) {
      link(*at.sibling).previous = at.previous;
    }
    make_root(item);
  }

  T* root_ = nullptr;
};

}  // namespace guest::kernel
