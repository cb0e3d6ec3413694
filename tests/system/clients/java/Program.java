import java.util.List;
import java.util.Map;

/**
 * Runs scenarios of a NATS application with jnats, the official Java client: {@code Program URL[,URL] [scenario...]}.
 *
 * <p>All of them by default; the second URL is lame_duck's. One line each, {@code ok <scenario>} or
 * {@code FAILED <scenario>: why}; ends with 1 if any failed. Where the server has to be restarted or sent away, it prints
 * {@code ready restart} or {@code ready lame_duck} and goes on when it reads a line.
 */
final class Program {
    public static void main(String[] arguments) {
        if (arguments.length == 0) {
            System.err.println("usage: Program URL[,URL] [scenario...]");
            System.exit(2);
        }
        String[] urls = arguments[0].split(",");
        Map<String, Scenarios.Scenario> all = Scenarios.all();
        List<String> names = arguments.length > 1 ? List.of(arguments).subList(1, arguments.length) : List.copyOf(all.keySet());
        boolean good = true;
        for (String name : names) {
            try (Place place = new Place(urls[0], urls.length > 1 ? urls[1] : "")) {
                all.get(name).run(place);
                System.out.println("ok " + name);
            } catch (Exception | AssertionError problem) {
                good = false;
                System.out.println("FAILED " + name + ": " + problem.toString().replace('\n', ' '));
            }
        }
        System.exit(good ? 0 : 1);
    }
}
