// A doubly linked list through links inside of its members: no memory of its own, removal from anywhere.
#pragma once

#include <cstddef>

namespace guest::kernel {

template <typename T>
struct ListLink {
  T* previous = nullptr;
  T* next = nullptr;
  bool linked = false;
};

/// Oldest first. `Member` is the link that this list uses; a T is in at most one list for each of its links.
template <typename T, ListLink<T> T::* Member>
class IntrusiveList {
 public:
  /// Does nothing if `item` is in the list.
  void push_back(T& item) {
    ListLink<T>& link = item.*Member;
    if (link.linked) {
      return;
    }
    T* const last = last_;
    set(link, last, nullptr);
    (last == nullptr ? first_ : (last->*Member).next) = &item;
    last_ = &item;
  }
  /// Puts `item`, which is in no list, before `next`, which is in this one.
  void insert_before(T& next, T& item) {
    ListLink<T>& after = next.*Member;
    set(item.*Member, after.previous, &next);
    (after.previous == nullptr ? first_ : (after.previous->*Member).next) = &item;
    after.previous = &item;
  }
  /// Of an item that is in this list.
  void move_to_back(T& item) {
    ListLink<T>& link = item.*Member;
    if (link.next == nullptr) {
      return;
    }
    T* const previous = link.previous;
    T* const next = link.next;
    T* const last = last_;
    (previous == nullptr ? first_ : (previous->*Member).next) = next;
    (next->*Member).previous = previous;
    (last->*Member).next = &item;
    link.previous = last;
    link.next = nullptr;
    last_ = &item;
  }
  /// Does nothing if `item` is not in the list.
  void remove(T& item) {
    ListLink<T>& link = item.*Member;
    if (!link.linked) {
      return;
    }
    T* const previous = link.previous;
    T* const next = link.next;
    (previous == nullptr ? first_ : (previous->*Member).next) = next;
    (next == nullptr ? last_ : (next->*Member).previous) = previous;
    link.previous = nullptr;
    link.next = nullptr;
    link.linked = false;
  }
  /// Takes the first out, which there is, and returns it.
  T& pop_front() {
    T& item = *first_;
    ListLink<T>& link = item.*Member;
    first_ = link.next;
    (first_ == nullptr ? last_ : (first_->*Member).previous) = nullptr;
    link.linked = false;
    return item;
  }
  [[nodiscard]] T* front() const { return first_; }
  [[nodiscard]] static T* after(const T& item) { return (item.*Member).next; }
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  /// Counts them: a number that is kept would cost each insertion and removal.
  [[nodiscard]] std::size_t size() const {
    std::size_t count = 0;
    for (const T* item = first_; item != nullptr; item = after(*item)) {
      ++count;
    }
    return count;
  }
  [[nodiscard]] bool has_several() const { return first_ != last_; }

 private:
  // Member by member: an aggregate is copied with its padding, and byte by byte where unaligned accesses are forbidden
  // (GCC 12 with -mstrict-align), which takes three times the instructions of all the rest.
  static void set(ListLink<T>& link, T* previous, T* next) {
    link.previous = previous;
    link.next = next;
    link.linked = true;
  }

  T* first_ = nullptr;
  T* last_ = nullptr;
};

}  // namespace guest::kernel
