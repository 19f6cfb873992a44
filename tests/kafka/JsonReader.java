// Reads messages as Kafka Connect does, and prints what it understood: a line of Base64 each, "KEY VALUE", from stdin.

import java.util.Base64;
import java.util.Map;
import java.util.Scanner;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.json.JsonConverter;

public class JsonReader {
    public static void main(String[] arguments) {
        JsonConverter keys = new JsonConverter();
        JsonConverter values = new JsonConverter();
        keys.configure(Map.of("schemas.enable", "true"), true);
        values.configure(Map.of("schemas.enable", "true"), false);
        Scanner lines = new Scanner(System.in);
        while (lines.hasNextLine()) {
            String[] parts = lines.nextLine().split(" ");
            read(keys, parts[0]);
            read(values, parts[1]);
        }
    }

    private static void read(JsonConverter converter, String encoded) {
        SchemaAndValue found = converter.toConnectData("topic", Base64.getDecoder().decode(encoded));
        Struct struct = (Struct) found.value();
        struct.validate();
        Schema schema = found.schema();
        System.out.println(schema.name() + " " + struct);
    }
}
