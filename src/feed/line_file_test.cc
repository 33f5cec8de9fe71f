#include "feed/line_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

namespace k2 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct LineFileTest : testing::Test {
  std::filesystem::path dir;
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "k2_line_file_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(dir); }

  std::string write(const std::string& name, std::string_view bytes) const {
    std::ofstream(dir / name, std::ios::binary) << bytes;
    return (dir / name).string();
  }

  std::string write_zip(const std::string& name, const std::vector<std::pair<std::string, std::string>>& members,
                        const char* password = nullptr) const {
    const std::string path = (dir / name).string();
    zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
    for (const auto& [member, bytes] : members) {
      const zip_int64_t index = zip_file_add(archive, member.c_str(), zip_source_buffer(archive, bytes.data(), bytes.size(), 0), 0);
      if (password != nullptr) zip_file_set_encryption(archive, static_cast<zip_uint64_t>(index), ZIP_EM_AES_256, password);
    }
    EXPECT_EQ(zip_close(archive), 0);
    return path;
  }

  static std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

Result<std::vector<std::string>> lines_of(const std::string& path) {
  K2_TRY(LineFile file, LineFile::open(path));
  std::vector<std::string> lines;
  for (;;) {
    K2_TRY(const auto line, file.next());
    if (!line) break;
    EXPECT_EQ(line->number, static_cast<int64_t>(lines.size()) + 1);
    lines.emplace_back(line->text);
  }
  EXPECT_EQ(file.bytes_read(), file.bytes_total());
  return lines;
}

TEST_F(LineFileTest, LinesEndWithLfOrCrLfAndTheLastNeedNot) {
  EXPECT_THAT(lines_of(write("a", "one\r\ntwo\n\nfour\rX\n")).value(), ElementsAre("one", "two", "", "four\rX"));
  EXPECT_THAT(lines_of(write("b", "one\ntwo")).value(), ElementsAre("one", "two"));
  EXPECT_THAT(lines_of(write("c", "one\ntwo\r")).value(), ElementsAre("one", "two"));
  EXPECT_THAT(lines_of(write("d", "\n")).value(), ElementsAre(""));
}

TEST_F(LineFileTest, AnEmptyFileHasNoLines) {
  EXPECT_TRUE(lines_of(write("a", ""))->empty());
  EXPECT_TRUE(lines_of(write_zip("b.zip", {{"b.csv", ""}}))->empty());
}

TEST_F(LineFileTest, AByteOrderMarkIsLeftOut) {
  EXPECT_THAT(lines_of(write("a", "\xef\xbb\xbfone\n\xef\xbb\xbftwo\n")).value(), ElementsAre("one", "\xef\xbb\xbftwo"));
  EXPECT_THAT(lines_of(write("b", "\xef\xbb")).value(), ElementsAre("\xef\xbb"));
}

TEST_F(LineFileTest, BinaryContentIsLinesLikeAnyOther) {
  const std::string bytes("\0\x01\n\xff\xfe\0", 6);
  EXPECT_THAT(lines_of(write("a", bytes)).value(), ElementsAre(std::string("\0\x01", 2), std::string("\xff\xfe\0", 3)));
}

TEST_F(LineFileTest, AZipGivesTheSameLinesAsItsMember) {
  std::string text;
  for (int i = 0; i < 200'000; ++i)
    text += "553287559,39432." + std::to_string(i * 7919 % 99'991) + ",0.000263,10.37,1610064000278,True,True\n";
  const auto plain = lines_of(write("a.csv", text)).value();
  EXPECT_EQ(plain.size(), 200'000u);
  EXPECT_EQ(lines_of(write_zip("a.bin", {{"a.csv", text}})).value(), plain);
}

TEST_F(LineFileTest, ALineOverTheLimitIsFlaggedAndSkipped) {
  constexpr size_t kMax = LineFile::kLineBytesMax;
  for (const size_t length : {kMax - 1, kMax, kMax + 1, kMax + 2, kMax + 3, size_t{5'000'000}}) {
    for (const char* line_end : {"\n", "\r\n", ""}) {
      auto file = LineFile::open(write("a", "first\n" + std::string(length, 'x') + line_end + (*line_end ? "last" : ""))).value();
      EXPECT_EQ(file.next().value()->text, "first");
      const auto line = file.next().value();
      EXPECT_EQ(line->too_long, length > kMax) << length;
      EXPECT_EQ(line->text, std::string(std::min(length, kMax), 'x')) << length;
      EXPECT_EQ(line->number, 2);
      const auto last = file.next().value();
      EXPECT_EQ(last.has_value(), *line_end != '\0') << length;
      if (last) {
        EXPECT_EQ(last->text, "last");
        EXPECT_EQ(last->number, 3);
      }
      EXPECT_FALSE(file.next().value());
    }
  }
}

TEST_F(LineFileTest, WhatIsNoReadableFileIsRefused) {
  EXPECT_EQ(LineFile::open((dir / "absent").string()).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(LineFile::open(dir.string()).error().kind, ErrorKind::kInvalidInput);
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(LineFile::open((dir / "fifo").string()).error().kind, ErrorKind::kInvalidInput);
  if (::geteuid() != 0) {
    const std::string path = write("secret", "x");
    ::chmod(path.c_str(), 0);
    EXPECT_EQ(LineFile::open(path).error().kind, ErrorKind::kUnavailable);
  }
}

TEST_F(LineFileTest, AZipNeedsExactlyOneMember) {
  const std::string none("PK\x05\x06" + std::string(18, '\0'));
  EXPECT_THAT(LineFile::open(write("none.zip", none)).error().message, HasSubstr("0 members"));
  EXPECT_THAT(LineFile::open(write_zip("two.zip", {{"a", "1"}, {"b", "2"}})).error().message, HasSubstr("2 members"));
  EXPECT_THAT(LineFile::open(write_zip("locked.zip", {{"a", "1"}}, "secret")).error().message, HasSubstr("encrypted"));
}

TEST_F(LineFileTest, AZipBombIsRefused) {
  const auto error = LineFile::open(write_zip("bomb.zip", {{"a", std::string(50'000'000, '\0')}})).error();
  EXPECT_EQ(error.kind, ErrorKind::kInvalidInput);
  EXPECT_THAT(error.message, HasSubstr("more than 250 times"));
}

TEST_F(LineFileTest, ATruncatedOrDamagedZipIsAnErrorAndNeverJustFewerLines) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i * 7919 % 99'991) + ",line\n";
  const std::string whole = bytes_of(write_zip("whole.zip", {{"a.csv", text}}));
  for (const size_t length : {whole.size() - 1, whole.size() / 2, size_t{30}, size_t{4}})
    EXPECT_EQ(lines_of(write("cut.zip", whole.substr(0, length))).error().kind, ErrorKind::kCorrupt) << length;
  for (size_t at = 100; at < whole.size() - 200; at += whole.size() / 40) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    const auto lines = lines_of(write("damaged.zip", damaged));
    ASSERT_FALSE(lines) << at;
    EXPECT_EQ(lines.error().kind, ErrorKind::kCorrupt);
  }
}

TEST_F(LineFileTest, TheMemberOfAZipIsNamed) {
  EXPECT_EQ(LineFile::open(write_zip("any.zip", {{"BTCUSDT-trades-2021-01-08.csv", "1\n"}}))->member_name(),
            "BTCUSDT-trades-2021-01-08.csv");
  EXPECT_EQ(LineFile::open(write("plain.csv", "1\n"))->member_name(), "");
}

}  // namespace
}  // namespace k2
