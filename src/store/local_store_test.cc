#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "store/store.h"

namespace k2 {
namespace {

class LocalStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "k2-store-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string at(std::string_view name) { return root_ + "/" + std::string(name); }

  std::string root_;
  std::unique_ptr<Store> store_ = make_local_store();
};

TEST_F(LocalStoreTest, KeepsWhatWasPut) {
  ASSERT_TRUE(store_->put_if_absent(at("a/b/c"), std::string_view("x\0y", 3)));
  EXPECT_EQ(store_->get(at("a/b/c")).value(), std::string("x\0y", 3));
  EXPECT_EQ(store_->size(at("a/b/c")).value(), 3);
  EXPECT_EQ(store_->list(root_).value(), std::vector<std::string>{at("a/b/c")});
}

TEST_F(LocalStoreTest, PuttingTheSameBytesAgainIsSuccessAndOtherBytesConflict) {
  ASSERT_TRUE(store_->put_if_absent(at("a"), "one"));
  EXPECT_TRUE(store_->put_if_absent(at("a"), "one"));
  EXPECT_EQ(store_->put_if_absent(at("a"), "two").error().kind, ErrorKind::kConflict);
  EXPECT_EQ(store_->get(at("a")).value(), "one");
  EXPECT_EQ(store_->list(root_).value().size(), 1u) << "no temporary is left";
}

TEST_F(LocalStoreTest, SaysWhatIsNotThere) {
  EXPECT_EQ(store_->get(at("no")).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(store_->size(at("no")).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(store_->remove(at("no")).error().kind, ErrorKind::kNotFound);
  EXPECT_TRUE(store_->list(at("no")).value().empty());
}

TEST_F(LocalStoreTest, RefusesToWriteBelowAFile) {
  ASSERT_TRUE(store_->put_if_absent(at("a"), "one"));
  EXPECT_EQ(store_->put_if_absent(at("a/b"), "two").error().kind, ErrorKind::kUnavailable);
}

TEST(Location, ReadsTheSpellingsOfFileUris) {
  EXPECT_EQ(uri_to_path("file:///a/b").value(), "/a/b");
  EXPECT_EQ(uri_to_path("file:/a/b").value(), "/a/b");
  EXPECT_EQ(uri_to_path("/a/b").value(), "/a/b");
  EXPECT_EQ(uri_to_path(path_to_uri("/a b")).value(), "/a b");
  EXPECT_FALSE(uri_to_path("s3://bucket/a"));
  EXPECT_FALSE(uri_to_path("a/b"));
}

}  // namespace
}  // namespace k2
