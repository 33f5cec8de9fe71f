#include "log/partitioner.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

// Apache Kafka, clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java, testMurmur2.
TEST(Partitioner, HashesAsKafkasJavaClient) {
  EXPECT_EQ(murmur2("21"), -973932308);
  EXPECT_EQ(murmur2("foobar"), -790332482);
  EXPECT_EQ(murmur2("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(murmur2("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971);
  EXPECT_EQ(murmur2("abc"), 479470107);
}

TEST(Partitioner, TakesTheHashWithoutItsSignModuloThePartitions) {
  EXPECT_EQ(partition_for_key("21", 1), 0);
  EXPECT_EQ(partition_for_key("21", 7), static_cast<int32_t>((static_cast<uint32_t>(-973932308) & 0x7fffffffu) % 7));
  EXPECT_EQ(partition_for_key("abc", 7), 479470107 % 7);
}

}  // namespace
}  // namespace k2
